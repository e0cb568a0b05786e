"""A scrape target that does as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from flagger.sandbox.metrics.listening import HOST, serving


@dataclass(slots=True)
class ScriptedTarget:
    """What the next scrapes get."""

    body: str = "a 1\n"
    status: int = 200
    content_type: str = "text/plain; version=0.0.4"
    delay: float = 0.0
    """Seconds before the answer."""
    address: str = ""
    scrapes: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """One scrape."""
        self.scrapes += 1
        await asyncio.sleep(self.delay)
        headers = {"Content-Type": self.content_type}
        return web.Response(status=self.status, body=self.body.encode(), headers=headers)


@asynccontextmanager
async def scripted_target() -> AsyncIterator[ScriptedTarget]:
    """A target that listens for the duration of the block, on every path."""
    target = ScriptedTarget()
    app = web.Application()
    app.router.add_get("/{path:.*}", target.answer)
    async with serving(app) as port:
        target.address = f"{HOST}:{port}"
        yield target
