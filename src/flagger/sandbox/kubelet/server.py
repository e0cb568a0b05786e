"""The kubelet's HTTP server, where API servers fetch container logs; on loopback, no authentication."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from aiohttp import web

from flagger.sandbox.kubelet.log_files import LogFiles
from flagger.sandbox.kubelet.logs import Wish

TRUE = frozenset({"true", "1"})


@contextlib.asynccontextmanager
async def serving(logs: LogFiles, now: Callable[[], datetime], host: str) -> AsyncIterator[int]:
    """Serve `/containerLogs/{namespace}/{pod}/{container}` and `/healthz`; the value is the port."""
    app = web.Application()
    path = "/containerLogs/{namespace}/{pod}/{container}"
    app.router.add_get(path, partial(answer, logs, now), allow_head=False)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def healthz(_request: web.Request) -> web.Response:
    """The server answers, so all is well."""
    return web.Response(text="ok")


async def answer(logs: LogFiles, now: Callable[[], datetime], request: web.Request) -> web.StreamResponse:
    """Send a log, and with `follow` go on until the container ends or the reader leaves."""
    where = request.match_info
    try:
        wish = wish_of(request.query, now())
    except ValueError as error:
        return web.Response(status=400, text=f"invalid log option: {error}\n")
    previous = request.query.get("previous", "") in TRUE
    log = logs.find(where["namespace"], where["pod"], where["container"], previous=previous)
    if log is None:
        which = "previous terminated container" if previous else "container"
        return web.Response(
            status=404, text=f'{which} "{where["container"]}" in pod "{where["pod"]}" not found\n'
        )
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await response.prepare(request)
    left = wish.limit
    with contextlib.suppress(ConnectionError):  # the reader has left
        async for line in log.lines(wish):
            data = line.encode()[:left]
            await response.write(data)
            left = left - len(data) if left is not None else None
            if left == 0:
                break
        await response.write_eof()
    return response


def wish_of(query: Mapping[str, str], now: datetime) -> Wish:
    """The options of `kubectl logs` (core/v1 PodLogOptions).

    Raises:
        ValueError: one has a value that it cannot have.
    """
    since = None
    if "sinceSeconds" in query:
        since = now - timedelta(seconds=int(query["sinceSeconds"]))
    elif "sinceTime" in query:
        since = datetime.fromisoformat(query["sinceTime"]).astimezone(UTC)
    return Wish(
        tail=int(query["tailLines"]) if "tailLines" in query else None,
        since=since,
        timestamps=query.get("timestamps", "") in TRUE,
        follow=query.get("follow", "") in TRUE,
        limit=int(query["limitBytes"]) if "limitBytes" in query else None,
    )
