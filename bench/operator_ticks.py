"""What a tick costs, and how punctual ticks are, while Canaries are released.

The real operator on an embedded API server, each in a process of its own; the metrics server is a scripted one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

from bench.figures import Figure, at_most, quantile
from bench.population import Pace, Site, operator, site
from bench.scripted_metrics import Asked, metrics_server
from bench.server import READS, counts, told
from flagger.kube.objects import Object

ALONE, ALONE_PACE = 1, Pace(interval="1s", step=5)
MANY, MANY_PACE = 100, Pace(interval="2s", step=1)
INTERVAL = 2.0  # seconds, as in MANY_PACE
SLICES, SLICE = 3, 20.0  # seconds of looking at running analyses
WITHIN = 120.0  # seconds
Requests = Counter[tuple[str, str]]


def run() -> list[Figure]:
    """Measure one Canary's ticks, then those of many."""
    return [*asyncio.run(_one()), *asyncio.run(_many())]


async def _one() -> list[Figure]:
    """Count the requests between two moments in the middle of the pause between ticks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with metrics_server() as (url, _), site(folder, ALONE, ALONE_PACE) as here:
            with operator(folder, here.server.kubeconfig, metrics=url):
                await here.until(here.all_in("Initialized", ALONE), WITHIN)
                ticks = await _weight_ticks(here)
    writes = [sum(number for (verb, _), number in tick.items() if verb not in READS) for tick in ticks]
    reads = [sum(number for (verb, _), number in tick.items() if verb in READS) for tick in ticks]
    usual = told(Counter(ticks[len(ticks) // 2]))
    return [
        Figure("writes of a tick that moves weight", "requests", tuple(writes), at_most(3), usual),
        Figure(
            "reads of a tick that moves weight",
            "requests",
            tuple(reads),
            at_most(0),
            "get and list, by the server's own count; ticks in the middle of a run",
        ),
    ]


async def _weight_ticks(here: Site) -> list[Requests]:
    """The requests of each tick that moves weight, but for the first, which also starts the run."""
    weights: asyncio.Queue[int] = asyncio.Queue()

    def note(canary: Object) -> None:
        status = canary.get("status", {})
        if status.get("phase") == "Progressing":
            weights.put_nowait(status.get("canaryWeight", 0))

    here.listeners.append(note)
    await here.quiet()
    await here.release(0)
    found: list[Requests] = []
    before: Requests | None = None
    async with asyncio.timeout(WITHIN):
        while (weight := await weights.get()) < ALONE_PACE.most:
            await asyncio.sleep(0.4)  # the Event follows the status
            after = await counts(here.client)
            if weight > ALONE_PACE.step and before is not None:
                found.append(_only(after - before))
            before = after
    here.listeners.remove(note)
    return found


def _only(requests: Requests) -> Requests:
    """Requests without those that keep watches going."""
    return Counter({key: number for key, number in requests.items() if key[0] != "watch"})


async def _many() -> list[Figure]:
    """Let many Canaries run at once; how late is each tick, by what the metrics server is asked?"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with metrics_server() as (url, asked), site(folder, MANY, MANY_PACE) as here:
            with operator(folder, here.server.kubeconfig, metrics=url) as process:
                await here.until(here.all_in("Initialized", MANY), WITHIN)
                await here.quiet()
                await asyncio.gather(*(here.release(number) for number in range(MANY)))
                await here.until(here.all_in("Progressing", MANY), WITHIN)
                await asyncio.sleep(2 * INTERVAL)
                asked.times.clear()
                operators, servers, done = [], [], []
                for _ in range(SLICES):
                    used, served, ticks = process.cpu, here.server.process.cpu, _ticks(asked)
                    await asyncio.sleep(SLICE)
                    operators.append(process.cpu - used)
                    servers.append(here.server.process.cpu - served)
                    done.append(_ticks(asked) - ticks)
                return _figures(asked, operators, servers, done, process.resident)


def _ticks(asked: Asked) -> int:
    return sum(map(len, asked.times.values()))


def _figures(
    asked: Asked, operators: list[float], servers: list[float], done: list[int], memory: float
) -> list[Figure]:
    lags = [
        max(0.0, later - earlier - INTERVAL) * 1000
        for times in asked.times.values()
        for earlier, later in pairwise(times)
    ]
    of = f"{MANY} Canaries at {INTERVAL:.0f} s"
    late = "how much later than an interval after the last one a tick asks for metrics"
    seconds = f"{SLICES} times {SLICE:.0f} s"
    each = tuple(used / number * 1e6 for used, number in zip(operators, done, strict=True))
    return [
        Figure(f"tick lag p50, {of}", "ms", (quantile(lags, 0.5),), note=f"{late}; {len(lags):,} ticks"),
        Figure(f"tick lag p99, {of}", "ms", (quantile(lags, 0.99),), at_most(1000), "the same ticks"),
        Figure(f"ticks, {of}", "1/s", tuple(number / SLICE for number in done), note=seconds),
        Figure("operator CPU per tick", "µs", each, note="two queries, three writes and their watch events"),
        Figure(
            f"operator CPU, {of}",
            "millicores",
            tuple(used / SLICE * 1000 for used in operators),
            note=seconds,
        ),
        Figure(
            f"API server CPU, {of}",
            "millicores",
            tuple(used / SLICE * 1000 for used in servers),
            note="the embedded one, beside it",
        ),
        Figure(f"operator memory, {of}", "MiB", (memory,), note="resident"),
    ]
