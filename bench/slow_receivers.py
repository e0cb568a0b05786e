"""Receivers that hang: by how much a webhook and a chat service that never answer delay the ticks of others.

The real operator on an embedded API server, each in a process of its own; the metrics server is a scripted one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import Figure, at_most, quantile
from bench.population import Pace, namespace, operator, site, target
from bench.scripted_metrics import metrics_server
from flagger.api.names import GROUP, VERSION
from flagger.kube.objects import Kind, Object

ALERT_PROVIDER = Kind(GROUP, VERSION, "AlertProvider", "alertproviders")
RELEASING, BLOCKED = 50, 10
INTERVAL = 2.0  # seconds
LOOK = 40.0  # seconds of looking at running analyses
WITHIN = 120.0  # seconds


def run() -> list[Figure]:
    """Measure with receivers that answer nobody, and without any."""
    calm, disturbed = asyncio.run(_lags(blocked=0)), asyncio.run(_lags(blocked=BLOCKED))
    delay = max(0.0, quantile(disturbed, 0.99) - quantile(calm, 0.99))
    others = RELEASING - BLOCKED
    of = f"{others} Canaries at {INTERVAL:.0f} s"
    note = f"{BLOCKED} more have a rollout hook of 10 s and an alert, both to a socket that never answers"
    return [
        Figure(f"tick lag p99, {of}, alone", "ms", (quantile(calm, 0.99),), note=f"{len(calm):,} ticks"),
        Figure(
            f"tick lag p99, {of}, beside hanging receivers", "ms", (quantile(disturbed, 0.99),), note=note
        ),
        Figure("delay by receivers that hang", "ms", (delay,), at_most(50), "difference of the two"),
    ]


async def _lags(blocked: int) -> list[float]:
    """The lags, in milliseconds, of the Canaries that have no hook and no alert."""
    async with _mute() as address:
        hanging = {target(number): _receivers(address) for number in range(blocked)}
        pace = Pace(interval="2s", step=1, extra=hanging)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with metrics_server() as (url, asked), site(folder, RELEASING, pace) as here:
                for number in range(blocked):
                    provider = _provider(namespace(number), address)
                    await here.client.apply(ALERT_PROVIDER, provider, manager="bench")
                with operator(folder, here.server.kubeconfig, metrics=url):
                    await here.until(here.all_in("Initialized", RELEASING), WITHIN)
                    await here.quiet()
                    await asyncio.gather(*(here.release(number) for number in range(RELEASING)))
                    await here.until(here.all_in("Progressing", RELEASING), WITHIN)
                    await asyncio.sleep(2 * INTERVAL)
                    asked.times.clear()
                    await asyncio.sleep(LOOK)
                    for number in range(blocked):
                        asked.times.pop(target(number), None)
                    return asked.lags(INTERVAL)


@asynccontextmanager
async def _mute() -> AsyncIterator[str]:
    """A server that takes connections and never says a word; gives its URL."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                pass
        finally:
            writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}/"
    finally:
        server.close()


def _receivers(address: str) -> Object:
    hook = {"name": "mute", "type": "rollout", "url": address, "timeout": "10s"}
    alert = {"name": "mute", "severity": "info", "providerRef": {"name": "mute"}}
    return {"webhooks": [hook], "alerts": [alert]}


def _provider(where: str, address: str) -> Object:
    spec = {"type": "slack", "address": address, "channel": "releases", "username": "flagger"}
    return {"metadata": {"name": "mute", "namespace": where}, "spec": spec}
