"""Serves the page of `page.py` on loopback."""

from collections.abc import Awaitable, Callable
from types import TracebackType

from aiohttp import web

from flagger.sandbox.dataplane.telemetry.page import CONTENT_TYPE

PATH = "/metrics"


class TelemetryServer:
    """An async context manager; `address` is `host:port/path` inside the block.

    `content` makes the page; an empty one says that nothing is in use.
    """

    def __init__(self, content: Callable[[], Awaitable[str]]) -> None:
        self.address = ""
        self._content = content
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> "TelemetryServer":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"{host}:{port}{PATH}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        body = await self._content()
        return web.Response(body=body.encode(), headers={"Content-Type": CONTENT_TYPE})
