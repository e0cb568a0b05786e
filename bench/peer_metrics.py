"""The metrics store beside a real Prometheus: the same samples, the same queries over HTTP.

Each server has a process of its own; `python -m bench.peer_metrics START` is that of ours.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from tests.sandbox.metrics import oracle

from bench import loops
from bench.figures import Figure, Unavailable
from bench.metrics_store import BUCKET, DURATION, PODS, SUCCESS_RATE, exposition, pod_labels
from bench.processes import ROOT
from flagger.sandbox.metrics.api import Api
from flagger.sandbox.metrics.clock import wall_clock
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.listening import HOST, serving
from flagger.sandbox.metrics.store import SeriesStore

SECONDS = 120  # of samples, one each second
ROUNDS, ASKED = 5, 60
QUERIES: Mapping[str, str] = {
    "request-success-rate": SUCCESS_RATE,
    "request-duration": DURATION,
    f"all {PODS * 72} buckets": BUCKET,
    "vector(1)": "vector(1)",
}
_SERIES = re.compile(r"(\w+)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
Timings = Mapping[str, list[float]]


def run() -> list[Figure]:
    """Ask both the same, in turns."""
    if shutil.which("prometheus") is None:
        raise Unavailable("no prometheus on PATH (fix: apt install prometheus)")
    start = int(time.time()) - SECONDS
    with oracle.running() as real, _ours(start) as ours:
        real.write(_feed(start))
        mine, theirs, same = loops.run(_compare(ours, real.url, start + SECONDS - 1))
    assert same, "both must answer the same"
    return [_figure(name, mine[name], theirs[name]) for name in QUERIES]


def _figure(name: str, mine: list[float], theirs: list[float]) -> Figure:
    ratios = tuple(its / one for one, its in zip(mine, theirs, strict=True))
    took = f"median: ours {statistics.median(mine):.2f} ms, Prometheus {statistics.median(theirs):.2f} ms"
    note = f"{took}; over HTTP, {PODS} pods, 1 min windows"
    return Figure(name, "times as fast", ratios, note=note)


async def _compare(ours: str, real: str, moment: int) -> tuple[Timings, Timings, bool]:
    """Milliseconds of each query, a median for each round; and whether the answers agree."""
    timings: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    same = True
    async with aiohttp.ClientSession() as session:
        for _ in range(ROUNDS):
            for name, query in QUERIES.items():
                sizes = []
                for url, found in zip((ours, real), timings, strict=True):
                    took, size = await _ask(session, url, query, moment)
                    found.setdefault(name, []).append(took)
                    sizes.append(size)
                same = same and sizes[0] == sizes[1] > 0
    return *timings, same


async def _ask(session: aiohttp.ClientSession, url: str, query: str, moment: int) -> tuple[float, int]:
    """The median duration of a query in milliseconds, and how many series it yields."""
    took, size = [], 0
    for _ in range(ASKED):
        began = time.perf_counter()
        async with session.get(f"{url}/api/v1/query", params={"query": query, "time": moment}) as response:
            body = await response.read()
        took.append((time.perf_counter() - began) * 1000)
        size = body.count(b'"value":')
    return statistics.median(took), size


def _feed(start: int) -> oracle.Feed:
    """The samples for Prometheus, with the labels that a scrape would give them."""
    feed: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for second in range(SECONDS):
        for name, labels, value in _SERIES.findall(exposition(second)):
            own = {"__name__": name, **dict(_LABEL.findall(labels))}
            for pod in range(PODS):
                key = tuple(sorted((own | pod_labels(pod)).items()))
                feed.setdefault(key, []).append(((start + second) * 1000, float(value)))
    return feed


@contextmanager
def _ours(start: int) -> Iterator[str]:
    """Our store with the same samples; gives its URL."""
    command = (sys.executable, "-m", "bench.peer_metrics", str(start))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"http://{HOST}:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


async def _serve(start: int) -> None:
    """Fill a store and answer queries, until terminated."""
    store = SeriesStore()
    targets = [Ingest(store, labels_of(pod_labels(number))) for number in range(PODS)]
    for second in range(SECONDS):
        body = exposition(second)
        for target in targets:
            target.accept(body, (start + second) * 1000, 0.001)
    async with serving(Api(store, wall_clock, lambda: ()).application()) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    loops.run(_serve(int(sys.argv[1])))
