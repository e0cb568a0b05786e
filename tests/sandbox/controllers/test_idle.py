"""What controllers cost: nothing while nothing happens, and a known number of requests for what happens."""

import asyncio
from pathlib import Path

from flagger.kube.client import Client
from flagger.kube.objects import DEPLOYMENT, SERVICE
from flagger.kube.transport import Request, Transport
from flagger.sandbox.controllers import Controllers
from tests.sandbox.controllers.player import Player
from tests.sandbox.controllers.world import PLAYED, World, a_deployment, embedded, until


class Counting(Transport):
    """A transport that remembers what it was asked to send."""

    sent: list[str]

    async def send(self, request: Request, guard: object = None) -> bytes:
        """Send a request, and remember it."""
        self.sent.append(request.action)
        return await super().send(request, guard)  # type: ignore[arg-type]


async def test_an_idle_cluster_costs_no_requests(tmp_path: Path) -> None:
    """All controllers together ask for nothing once everything is as it should be."""
    async with embedded(tmp_path) as connection, Client(connection) as client:
        transport = Counting(connection, user_agent="controllers")
        transport.sent = []
        controlled = Client(connection, transport=transport)
        tasks = [
            asyncio.create_task(Controllers(controlled, PLAYED).run()),
            asyncio.create_task(Player(client).run()),
        ]
        world = World(client, "default")
        ports = [{"port": 80}]
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        await world.create(SERVICE, service)
        await world.create(DEPLOYMENT, a_deployment())
        await world.deployed()
        await is_quiet(transport.sent)
        writes = [action for action in transport.sent if not action.startswith(("list", "GET"))]

        assert len(writes) <= 40, writes
        assert not [action for action in writes if action.startswith("get")], "everything is read from caches"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await controlled.close()


async def is_quiet(sent: list[str]) -> None:
    """Wait until nothing has been sent for half a second."""
    seen = -1

    async def check() -> bool:
        nonlocal seen
        before, seen = seen, len(sent)
        await asyncio.sleep(0.5)
        return before == len(sent)

    await until(check, "no requests for half a second")
