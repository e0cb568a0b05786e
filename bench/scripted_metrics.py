"""A metrics server that always says that all is well, and remembers who asked when."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_POD = re.compile(r'kubernetes_pod_name=~"(app-\d+)-')
RATE, DURATION = "100", "0.042"


class Asked:
    """The times, by a monotonic clock in seconds, at which each Canary's success rate was asked for."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an instant query."""
        now = time.monotonic()
        query = request.query.get("query", "")
        is_rate = "histogram_quantile" not in query
        found = _POD.search(query)
        if found and is_rate:
            self.times.setdefault(found[1], []).append(now)
        result = [{"metric": {}, "value": [0, RATE if is_rate else DURATION]}]
        if query == "vector(1)":
            result[0]["value"] = [0, "1"]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@asynccontextmanager
async def metrics_server() -> AsyncIterator[tuple[str, Asked]]:
    """Run one; gives its URL and what it was asked."""
    asked = Asked()
    app = web.Application()
    app.router.add_get("/api/v1/query", asked.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}", asked
    finally:
        await runner.cleanup()
