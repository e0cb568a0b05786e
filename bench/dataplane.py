"""The data plane: how soon a change of weights is in effect, what it costs, and how many requests pass.

Clients, pods, API server and data plane share one process, so requests per second are a lower bound that says
more about Python than about Envoy.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.sandbox.dataplane.objects import a_backend, a_gateway, a_route, a_rule, a_service, meta, split
from tests.sandbox.dataplane.snapshots import a_snapshot
from tests.sandbox.dataplane.world import World, a_world

from bench.figures import Figure, at_most, quantile
from flagger.kube.objects import NAMESPACE, SERVICE, Object
from flagger.sandbox.dataplane.emit import resources
from flagger.sandbox.dataplane.kinds import GATEWAY, HTTP_ROUTE
from flagger.sandbox.dataplane.plan import plan_for

CHANGES = 500
PACE = 500  # requests per second during the changes
CLIENTS = 16
RUNS, SECONDS = 3, 2.0
CANARIES = 100


def run() -> list[Figure]:
    """Measure plans alone, then a live data plane."""
    return [_plan_cost(), *asyncio.run(_live())]


async def _live() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world:
            await world.release()
            address = await world.gateway(a_gateway())
            await world.route(a_route("checkout", a_rule(*split(100, 0))))
            return [*await _weight_changes(world, address), await _throughput(address)]


def _plan_cost() -> Figure:
    """Reading all objects of many canaries and writing Envoy's resources, which every change does anew."""
    services: list[Object] = []
    routes: list[Object] = []
    for number in range(CANARIES):
        names = [f"app-{number}", f"app-{number}-primary", f"app-{number}-canary"]
        services += [a_service(name, clusterIP=f"127.96.{number + 1}.{n}") for n, name in enumerate(names)]
        backends = [a_backend(names[1], 90), a_backend(names[2], 10)]
        routes.append(a_route(names[0], a_rule(*backends), hostnames=[f"{names[0]}.test"]))
    objects = {
        SERVICE: services,
        HTTP_ROUTE: routes,
        GATEWAY: [a_gateway()],
        NAMESPACE: [{"metadata": meta("shop", None)}],
    }
    took = []
    for _ in range(20):
        began = time.perf_counter()
        resources(plan_for(a_snapshot(objects, proxy=("127.96.0.254", 3128))).plan)
        took.append((time.perf_counter() - began) * 1000)
    note = "all objects read, all of Envoy's resources written; every change does it anew"
    return Figure(f"plan of {CANARIES} Canaries", "ms", tuple(took), note=note)


async def _weight_changes(world: World, address: str) -> list[Figure]:
    """From the answer to the write until the first request that goes the new way, under a steady load."""
    load = Load(address)
    took: list[float] = []
    async with asyncio.TaskGroup() as group:
        running = group.create_task(load.run(PACE))
        for turn in range(CHANGES):
            to_canary = 100 * (turn % 2 == 0)
            wanted = b"canary" if to_canary else b"primary"
            await world.set_rules("checkout", a_rule(*split(100 - to_canary, to_canary)))
            began = time.perf_counter()
            while wanted not in await load.ask():
                pass
            took.append((time.perf_counter() - began) * 1000)
        running.cancel()
    note = "from the answer to the write until the first request that goes the new way"
    lost = f"of {load.answered:,} at {PACE}/s aimed at, during {CHANGES} changes of all traffic"
    return [
        Figure("weight change in effect", "ms", tuple(took), note=note),
        Figure("the same, p99", "ms", (quantile(took, 0.99),), note="of the same changes"),
        Figure("requests lost meanwhile", "requests", (load.failed,), at_most(0), lost),
    ]


async def _throughput(address: str) -> Figure:
    """As many requests as clients and pods in this process can make and answer."""
    rates = []
    for _ in range(RUNS):
        load, began = Load(address), time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            await asyncio.gather(*(load.ask() for _ in range(CLIENTS)))
        assert not load.failed, f"{load.failed} requests failed"
        rates.append(load.answered / (time.perf_counter() - began))
    return Figure(
        "requests through a Gateway", "1/s", tuple(rates), note=f"{CLIENTS} clients and two pods in Python"
    )


class Load:
    """Keeps connections to one address, and counts."""

    def __init__(self, address: str) -> None:
        self.answered = 0
        self.failed = 0
        self._address = address
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self) -> bytes:
        """One request; returns the body."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._address, 80)
        writer.write(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        self._idle.append((reader, writer))
        self.answered += 1
        self.failed += not head.startswith(b"HTTP/1.1 200")
        return body

    async def run(self, per_second: int) -> None:
        """Ask at a steady pace until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self.ask())
                await asyncio.sleep(1 / per_second)
