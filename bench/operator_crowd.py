"""A crowd: many Canaries, some of them releasing; how punctual ticks are, and what the operator takes.

The real operator on an embedded API server, each in a process of its own; the metrics server is a scripted one.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench.figures import Figure, at_most, quantile
from bench.population import Pace, operator, site
from bench.scripted_metrics import metrics_server

CROWD, RELEASING = 1000, 100
INTERVAL = 10.0  # seconds
PACE = Pace(interval="10s", step=1)
SLICES, SLICE = 3, 30.0  # seconds of looking at running analyses
WITHIN = 300.0  # seconds


def run() -> list[Figure]:
    """Measure once over some slices of time."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with metrics_server() as (url, asked), site(folder, CROWD, PACE) as here:
            with operator(folder, here.server.kubeconfig, metrics=url) as process:
                await here.until(here.all_in("Initialized", CROWD), WITHIN)
                await here.quiet()
                resting = process.resident
                await asyncio.gather(*(here.release(number) for number in range(RELEASING)))
                await here.until(here.all_in("Progressing", RELEASING), WITHIN)
                await asyncio.sleep(2 * INTERVAL)
                asked.times.clear()
                cores = []
                for _ in range(SLICES):
                    used = process.cpu
                    await asyncio.sleep(SLICE)
                    cores.append((process.cpu - used) / SLICE)
                lags, memory = asked.lags(INTERVAL), process.resident
    of = f"{CROWD:,} Canaries, {RELEASING} releasing at {INTERVAL:.0f} s"
    late = "how much later than an interval after the last one a tick asks for metrics"
    return [
        Figure(f"tick lag p50, {of}", "ms", (quantile(lags, 0.5),), note=f"{late}; {len(lags):,} ticks"),
        Figure(f"tick lag p99, {of}", "ms", (quantile(lags, 0.99),), at_most(500), "the same ticks"),
        Figure(f"operator CPU, {of}", "cores", tuple(cores), at_most(1), f"{SLICES} times {SLICE:.0f} s"),
        Figure(f"operator memory, {of}", "MiB", (memory,), at_most(250), "resident"),
        Figure(f"operator memory, {CROWD:,} Canaries at rest", "MiB", (resting,), note="resident"),
    ]
