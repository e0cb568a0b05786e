"""Starts and stops the sample app: `main` is its process."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from aiohttp import web

from flagger.sandbox.podinfo.app import Podinfo
from flagger.sandbox.podinfo.settings import SettingError, Settings, parse

log = logging.getLogger("podinfo")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FIELDS = ("method", "path", "status", "address", "error")


class JsonLines(logging.Formatter):
    """One JSON object per line, with podinfo's field names."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"level": record.levelname.lower(), "ts": stamp, "msg": record.getMessage()}
        return json.dumps(line | {name: getattr(record, name) for name in FIELDS if hasattr(record, name)})


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. `arguments` come without the program's name."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    log.handlers, log.propagate = [handler], False
    try:
        settings = parse(arguments, environ)
    except SettingError as error:
        log.error("unusable setting", extra={"error": str(error)})  # noqa: TRY400  the message says it all
        return 2
    log.setLevel(LEVELS.get(settings.level.lower(), logging.INFO))
    try:
        return asyncio.run(run(settings))
    except OSError as error:
        log.error("cannot listen", extra={"error": str(error)})  # noqa: TRY400  the message says it all
        return 1


async def run(settings: Settings) -> int:
    """Serve until told to stop, then drain; 0 after a clean stop, 1 for an ordered crash."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.crash_after >= 0:
        loop.call_later(settings.crash_after, crash)
    async with serving(settings) as podinfo:
        await stop.wait()
        podinfo.draining = True
        log.info("shutting down")
        await asyncio.sleep(settings.drain)
    return 0


def crash() -> None:
    """End at once, as a program does that hits a bug."""
    log.error("crashing as ordered")
    os._exit(1)


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Podinfo]:
    """The app on its port or ports; leaving waits for requests in flight.

    Raises:
        OSError: an address cannot be bound.
    """
    podinfo = Podinfo(settings)
    listeners = [(podinfo.application(), settings.port)]
    if settings.port_metrics not in {0, settings.port}:
        listeners.append((podinfo.metrics_application(), settings.port_metrics))
    async with contextlib.AsyncExitStack() as stack:
        for application, port in listeners:
            runner = web.AppRunner(
                application, access_log=None, shutdown_timeout=settings.server_shutdown_timeout
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, settings.host, port, reuse_address=True).start()
            log.info("listening", extra={"address": f"{settings.host}:{port}"})
        yield podinfo
