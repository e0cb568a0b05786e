"""The metrics store: what scraping costs, how fast queries are answered, how much memory samples take.

Scraped targets run in a process of their own, so that only the store's share is measured.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from aiohttp import web

from bench import loops
from bench.figures import Figure, at_most
from bench.processes import ROOT, resident
from flagger.sandbox.metrics.embedded import EmbeddedEngine
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.listening import HOST, serving
from flagger.sandbox.metrics.promql.engine import Engine
from flagger.sandbox.metrics.scrape import Pace
from flagger.sandbox.metrics.store import Limits, SeriesStore
from flagger.sandbox.metrics.targets import Target

PODS = 20
TARGETS = 40
RUNS, SECONDS = 3, 5.0
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
SELECTOR = 'kubernetes_namespace="shop",kubernetes_pod_name=~"checkout-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'
COUNT, BUCKET = "http_request_duration_seconds_count", "http_request_duration_seconds_bucket"
SUCCESS_RATE = (
    f'sum(rate({COUNT}{{{SELECTOR},status!~"5.*"}}[1m])) / sum(rate({COUNT}{{{SELECTOR}}}[1m])) * 100'
)
DURATION = f"histogram_quantile(0.99, sum by (le) (rate({BUCKET}{{{SELECTOR}}}[1m])))"


def exposition(second: int) -> str:
    """What a busy pod exposes: a histogram per path and status, of which one moves, and 60 quiet series."""
    lines = ["# TYPE http_request_duration_seconds histogram"]
    for path in ("api", "version", "healthz"):
        for status in ("200", "500"):
            labels = f'method="GET",path="{path}",status="{status}"'
            moving = second if path == "api" else 1
            for rank, bound in enumerate(BOUNDS, 1):
                lines.append(f'{BUCKET}{{{labels},le="{bound}"}} {moving * rank}')
            lines.append(f"{COUNT}{{{labels}}} {moving * len(BOUNDS)}")
    lines += [f'go_something{{n="{n}"}} {n}' for n in range(60)]
    return "\n".join(lines) + "\n"


def pod_labels(number: int) -> dict[str, str]:
    """The labels of one pod's target."""
    name = f"checkout-7c9d8f-x{number}"
    pod = {"kubernetes_namespace": "shop", "kubernetes_pod_name": name, "namespace": "shop", "pod": name}
    return {"job": "kubernetes-pods", "instance": f"127.128.0.{number}:9898", "app": "checkout", **pod}


def filled(seconds: int, pods: int) -> SeriesStore:
    """A store after that many seconds of scraping."""
    store = SeriesStore()
    targets = [Ingest(store, labels_of(pod_labels(number))) for number in range(pods)]
    for second in range(seconds):
        body = exposition(second)
        for number, target in enumerate(targets):
            target.accept(body, second * 1000 + number * 17, 0.001)
    return store


def run() -> list[Figure]:
    """Measure memory while there is nothing yet that could be used again, then queries, then scraping."""
    memory = _memory()
    return [*_queries(), *loops.run(_scraping()), *memory]


def milliseconds(action: Callable[[], object], times: int) -> tuple[float, ...]:
    """How long an action takes, each time."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        took.append((time.perf_counter() - began) * 1000)
    return tuple(took)


def _queries() -> list[Figure]:
    """The built-in queries over some pods and one minute of samples."""
    engine = Engine(filled(120, PODS))
    note = f"{PODS} pods, 1 min of samples, one each second"
    rates = milliseconds(lambda: engine.instant(SUCCESS_RATE, 119_500), 200)
    durations = milliseconds(lambda: engine.instant(DURATION, 119_500), 200)
    steps = milliseconds(lambda: engine.range(SUCCESS_RATE, 60_000, 119_000, 1000), 10)
    return [
        Figure("instant query request-success-rate", "ms", rates, at_most(2), note),
        Figure("instant query request-duration", "ms", durations, note=note),
        Figure("range query request-success-rate", "ms", steps, note=f"{note}; 60 steps"),
    ]


def _memory() -> list[Figure]:
    """An hour of samples."""
    before, began = resident(os.getpid()), time.process_time()
    store = filled(3600, PODS)
    cpu, grown = time.process_time() - began, resident(os.getpid()) - before
    size = grown * 2**20 / (len(store) * 3600)
    hour = f"an hour of {PODS} pods, a sample a second, {len(store):,} series"
    return [
        Figure("memory of an hour", "MiB", (grown,), note=f"{hour}: {size:.1f} bytes a sample"),
        Figure("an exposition read", "µs", (cpu / 3600 / PODS * 1e6,), note="without HTTP, mean of the same"),
    ]


async def _scraping() -> list[Figure]:
    """The share of a core that scraping takes, HTTP included."""
    command = (sys.executable, "-m", "bench.metrics_store")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        engine = EmbeddedEngine(Limits(), Pace(timedelta(seconds=1)))
        task = asyncio.create_task(engine.run(lambda _: None))
        await asyncio.sleep(0.1)
        aims = (Target(labels_of(pod_labels(n)), f"{HOST}:{port}", f"/{n}") for n in range(TARGETS))
        engine.aim(frozenset(aims))
        await asyncio.sleep(2)
        shares = []
        for _ in range(RUNS):
            began = time.process_time()
            await asyncio.sleep(SECONDS)
            shares.append((time.process_time() - began) / SECONDS * 100)
        task.cancel()
        await asyncio.wait([task])
    finally:
        process.terminate()
        await process.wait()
    note = f"{len(engine.store):,} series, HTTP included"
    return [Figure(f"scraping {TARGETS} targets each second", "% of a core", tuple(shares), at_most(5), note)]


async def _serve_targets() -> None:
    """Serve an exposition that moves on each second, until terminated."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=exposition(int(time.time())))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    loops.run(_serve_targets())
