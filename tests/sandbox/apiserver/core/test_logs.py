"""Pod logs: fetched from the kubelet that the node names."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.sandbox.apiserver.core.conftest import Caller

PODS = "/api/v1/namespaces/default/pods"


@dataclass
class Kubelet:
    """A kubelet's log endpoint: remembers requests, answers with two lines, the second one when told."""

    requests: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send one line, and another when the test says so."""
        self.requests.append(request.path_qs)
        if request.match_info["container"] == "broken":
            return web.Response(status=400, text="container is not running")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        if request.query.get("follow") == "true":
            await self.go_on.wait()
            await response.write(b"two\n")
        return response


@pytest.fixture
async def kubelet() -> AsyncIterator[Kubelet]:
    """A kubelet on a free port."""
    kubelet, app = Kubelet(), web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubelet.port = runner.addresses[0][1]
    yield kubelet
    await runner.cleanup()


async def a_pod(call: Caller, port: int, container: str = "app") -> None:
    """A pod on a node with a kubelet."""
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await call.ok("POST", "/api/v1/nodes", {"metadata": {"name": "sandbox"}, "status": status})
    spec = {"nodeName": "sandbox", "containers": [{"name": container, "image": "x:1"}]}
    await call.ok("POST", PODS, {"metadata": {"name": "web"}, "spec": spec})


async def test_logs_are_passed_on(call: Caller, kubelet: Kubelet) -> None:
    """The only container is the default one; parameters go to the kubelet."""
    await a_pod(call, kubelet.port)

    assert await call("GET", f"{PODS}/web/log", tailLines="5", unknown="x") == (200, "one\n")

    assert kubelet.requests == ["/containerLogs/default/web/app?tailLines=5"]


async def test_logs_are_followed(call: Caller, kubelet: Kubelet) -> None:
    """Lines arrive as they are written."""
    await a_pod(call, kubelet.port)

    async with call.session.get(f"{PODS}/web/log", params={"follow": "true"}) as response:
        assert await response.content.readline() == b"one\n"
        kubelet.go_on.set()
        assert await response.content.readline() == b"two\n"
        assert await response.content.readline() == b""


async def test_a_followed_log_does_not_hold_up_the_end(call: Caller, kubelet: Kubelet) -> None:
    """A server that stops ends the stream at once."""
    await a_pod(call, kubelet.port)

    async with call.session.get(f"{PODS}/web/log", params={"follow": "true"}) as response:
        assert await response.content.readline() == b"one\n"
        async with asyncio.timeout(1):
            await call.server.stop()
        assert await response.content.readline() == b""
    kubelet.go_on.set()


async def test_what_the_kubelet_refuses(call: Caller, kubelet: Kubelet) -> None:
    """Its refusal becomes a Status with its text."""
    await a_pod(call, kubelet.port, "broken")

    status, body = await call("GET", f"{PODS}/web/log")

    assert (status, body["kind"], body["message"]) == (400, "Status", "container is not running")


async def test_no_kubelet(call: Caller) -> None:
    """A kubelet that does not answer is an error that names the URL; a node without one, an error that says so."""
    await a_pod(call, 1)
    status, body = await call("GET", f"{PODS}/web/log")
    assert status == 500
    assert "http://127.0.0.1:1/containerLogs/default/web/app" in body["message"]

    await call.ok("PATCH", "/api/v1/nodes/sandbox/status", {"status": {"addresses": None}})
    status, body = await call("GET", f"{PODS}/web/log")
    assert (status, body["message"]) == (500, 'node "sandbox" has no kubelet endpoint')


async def test_a_container_that_has_not_started(call: Caller, kubelet: Kubelet) -> None:
    """A waiting container has no log yet."""
    await a_pod(call, kubelet.port)
    waiting = {"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0}
    needed = {"image": "x:1", "imageID": "", "ready": False}
    await call.ok("PATCH", f"{PODS}/web/status", {"status": {"containerStatuses": [waiting | needed]}})

    status, body = await call("GET", f"{PODS}/web/log")

    assert status == 400
    assert body["message"] == 'container "app" in pod "web" is waiting to start: ContainerCreating'
