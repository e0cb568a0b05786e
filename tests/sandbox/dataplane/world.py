"""A data plane on a real API; pods are servers in this process, their statuses are written by hand."""

import asyncio
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.errors import AlreadyExists, KubeError
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CRD, NAMESPACE, NODE, POD, SERVICE, Kind, Object, name_of, namespace_of
from flagger.sandbox.apiserver.server import ApiServer
from flagger.sandbox.crds import manifests
from flagger.sandbox.dataplane import DataPlane
from flagger.sandbox.dataplane.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    NODE_NAME,
    REFERENCE_GRANT,
)
from tests.sandbox.dataplane.objects import a_pod, a_service, pod_status

DEADLINE = 10.0  # seconds until anything awaited must have happened


@dataclass
class App:
    """A pod: an HTTP server at an address of its own that answers with its name."""

    name: str
    address: str
    runner: web.AppRunner
    seen: deque[web.Request] = field(default_factory=lambda: deque(maxlen=1000))


class World:
    """A cluster with a data plane; `get` asks it as a client outside would."""

    def __init__(
        self, client: Client, plane: DataPlane, folder: Path, octet: int, stack: AsyncExitStack
    ) -> None:
        self.client = client
        self.plane = plane
        self.folder = folder
        self._octet = octet
        self._stack = stack
        self._pods = 0
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))

    async def pod(self, name: str, app: str, port: int = 8080) -> App:
        """A ready pod that answers `<name> <path>`; `/slow` takes a while, `/status/N` answers N."""
        self._pods += 1
        address = f"127.{self._octet + 32}.0.{self._pods}"
        server = await self._serve(name, address, port)
        wanted = a_pod(name, address, app=app)
        wanted.pop("status")
        await self.client.create(POD, wanted)
        body = {"status": pod_status(address)}
        await self.client.patch(POD, name, "shop", body, subresource="status")
        return server

    async def _serve(self, name: str, address: str, port: int) -> App:
        async def answer(request: web.Request) -> web.Response:
            app.seen.append(request)
            if request.path == "/slow":
                await asyncio.sleep(0.5)
            status = (
                int(request.path.removeprefix("/status/")) if request.path.startswith("/status/") else 200
            )
            return web.Response(text=f"{name} {request.path_qs}", status=status)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        app = App(name, address, runner)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, address, port).start()
        return app

    async def service(self, name: str, **more: object) -> str:
        """A Service; returns its address."""
        created = await self.client.create(SERVICE, a_service(name, **more))  # type: ignore[arg-type]
        return str(created["spec"]["clusterIP"])

    async def release(self) -> str:
        """Primary and canary of `checkout`, a pod each, and the apex Service; returns the latter's address."""
        await self.pod("primary-1", "checkout-primary")
        await self.pod("canary-1", "checkout")
        await self.service("checkout-primary")
        await self.service("checkout-canary", app="checkout")
        return await self.service("checkout", app="checkout-primary")

    async def set_rules(self, route: str, *rules: Object) -> None:
        """Other rules for a route, as the operator writes them."""
        await self.client.patch(HTTP_ROUTE, route, "shop", {"spec": {"rules": list(rules)}})

    async def gateway(self, gateway: Object) -> str:
        """A Gateway; returns its address once it is programmed."""
        await self.client.create(GATEWAY, gateway)
        return str((await self.programmed(gateway))["status"]["addresses"][0]["value"])

    async def programmed(self, gateway: Object) -> Object:
        """The Gateway once its Programmed condition is true."""
        return await self.until(
            GATEWAY,
            gateway,
            lambda obj: conditions(obj.get("status") or {"conditions": []}).get("Programmed") == "True",
        )

    async def route(self, route: Object) -> Object:
        """Create a route and wait until each parent has had its say about it."""
        await self.client.create(HTTP_ROUTE, route)
        return await self.settled(route)

    async def settled(self, route: Object) -> Object:
        """The route once its status is about its present generation."""

        def is_settled(obj: Object) -> bool:
            said = [entry for parent in parents(obj) for entry in parent["conditions"]]
            return bool(said) and all(
                entry["observedGeneration"] == obj["metadata"]["generation"] for entry in said
            )

        return await self.until(HTTP_ROUTE, route, is_settled)

    async def until(self, kind: Kind, obj: Object, holds: Callable[[Object], bool]) -> Object:
        """The object once something is true of it."""
        found = obj
        async with asyncio.timeout(DEADLINE):
            while True:
                found = await self.client.get(kind, name_of(obj), namespace_of(obj) or None)
                if holds(found):
                    return found
                await asyncio.sleep(0.02)

    async def terminate(self, pod: str) -> None:
        """Ask for a pod's deletion; it stays until a kubelet says that it is gone, and there is none."""
        await self.client.delete(POD, pod, "shop")

    async def get(self, url: str, **more: object) -> str:
        """The body of an answer, or its status when that is not 200."""
        async with self.http.get(url, allow_redirects=False, **more) as answer:  # type: ignore[arg-type]
            return await answer.text() if answer.status == 200 else str(answer.status)

    async def answers(self, url: str, expected: str, **more: object) -> None:
        """Wait until a URL answers with a text that starts as expected."""
        said = ""
        try:
            async with asyncio.timeout(DEADLINE):
                while not said.startswith(expected):
                    try:
                        said = await self.get(url, **more)
                    except aiohttp.ClientError as error:
                        said = repr(error)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{url} answers {said!r}, not {expected!r}") from None

    async def count(self, url: str, requests: int, **more: object) -> Counter[str]:
        """How many requests were answered by each pod (or with each status)."""
        return Counter([(await self.get(url, **more)).split(" ")[0] for _ in range(requests)])


def parents(route: Object) -> list[Object]:
    return (route.get("status") or {}).get("parents") or []


def conditions(status: Object) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in status["conditions"]}


def reasons(status: Object) -> dict[str, str]:
    return {entry["type"]: entry["reason"] for entry in status["conditions"]}


@asynccontextmanager
async def a_world(folder: Path, *, low_ports: bool | None = None) -> AsyncIterator[World]:
    """An embedded API server with the CRDs and the Node, and a data plane that is ready."""
    with an_octet() as octet:
        async with ApiServer(service_cidr=f"127.{octet}.0.0/16") as server:
            file = folder / "kubeconfig"
            file.write_text(server.kubeconfig())
            async with a_world_at(load_connection(file), folder, octet, low_ports=low_ports) as world:
                yield world


@asynccontextmanager
async def a_world_at(
    connection: Connection, folder: Path, octet: int, *, low_ports: bool | None = None
) -> AsyncIterator[World]:
    """The same on an API server that runs already."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(connection))
        await install(client)
        plane = DataPlane(client, state_dir=folder, cidr=f"127.{octet}.0.0/16", low_ports=low_ports)
        running = asyncio.create_task(plane.run())
        stack.push_async_callback(stopped, running)
        async with asyncio.timeout(DEADLINE):
            await plane.ready.wait()
        world = World(client, plane, folder, octet, stack)
        stack.push_async_callback(world.http.close)
        yield world


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def install(client: Client) -> None:
    """What the sandbox installs before the data plane starts."""
    for manifest in manifests():
        await add(client, CRD, manifest)
    await add(client, NAMESPACE, {"metadata": {"name": "shop"}})
    await add(client, NODE, {"metadata": {"name": NODE_NAME}})
    async with asyncio.timeout(DEADLINE):
        for kind in (GATEWAY_CLASS, GATEWAY, HTTP_ROUTE, GRPC_ROUTE, REFERENCE_GRANT):
            while not await is_served(client, kind):  # noqa: ASYNC110  # there is no event to wait for
                await asyncio.sleep(0.02)


async def add(client: Client, kind: Kind, obj: Object) -> None:
    """Create an object that another test may have created already."""
    with suppress(AlreadyExists):
        await client.create(kind, obj)


async def is_served(client: Client, kind: Kind) -> bool:
    try:
        await client.list(kind)
    except KubeError:
        return False
    return True


@contextmanager
def an_octet() -> Iterator[int]:
    """The second number of a range of loopback addresses, for one test at a time; real sandboxes use others."""
    with socket.socket(socket.AF_UNIX) as claim:
        for octet in range(112, 128):
            try:
                claim.bind(f"\0flagger-tests-{octet}")
            except OSError:
                continue
            yield octet
            return
        raise RuntimeError("all ranges of loopback addresses are in use")
