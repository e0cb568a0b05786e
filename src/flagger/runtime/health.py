"""The operator's own HTTP endpoints: /metrics, /healthz and /readyz."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

log = structlog.get_logger(__name__)


@asynccontextmanager
async def endpoints(
    address: str, port: int, registry: CollectorRegistry, ready: Callable[[], bool]
) -> AsyncIterator[int]:
    """Serve until the block is left; gives the port, chosen free when `port` is 0.

    /healthz says only that the process runs, as upstream's does; /readyz that the caches have been filled.

    Raises:
        OSError: the port can't be had.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if ready() else web.Response(status=503, text="not ready")

    async def metrics(_: web.Request) -> web.Response:
        # Thousands of series take a tenth of a second to render: not on the loop.
        body = await asyncio.to_thread(generate_latest, registry)
        answer = web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
        answer.enable_compression()
        return answer

    app = web.Application()
    app.router.add_route("*", "/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address or None, port)
        await site.start()
        bound = int(runner.addresses[0][1])
        log.info("starting HTTP server", port=bound)
        yield bound
    finally:
        await runner.cleanup()
