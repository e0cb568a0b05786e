"""The metrics store: what scraping costs, how fast queries are answered, how much memory samples take.

Run as `python -m bench.metrics_store`. Scraped targets run in a process of their own, so that only the store's
share is measured.
"""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from flagger.sandbox.metrics.embedded import EmbeddedEngine
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.listening import HOST
from flagger.sandbox.metrics.promql.engine import Engine
from flagger.sandbox.metrics.scrape import Pace
from flagger.sandbox.metrics.store import Limits, SeriesStore
from flagger.sandbox.metrics.targets import Target

PODS = 20
TARGETS = 40
SECONDS = 10.0
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


def median_ms(action: Callable[[], object], times: int = 200) -> float:
    """The median duration of an action."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def queries() -> None:
    """The built-in queries over 20 pods and one minute of samples."""
    engine = Engine(filled(120, PODS))
    for name, query in (("request-success-rate", SUCCESS_RATE), ("request-duration", DURATION)):
        took = median_ms(lambda query=query: engine.instant(query, 119_500))  # type: ignore[misc]
        print(f"instant query {name}, {PODS} pods, 1 min of 1 s samples: {took:.2f} ms")
    print("(aim for request-success-rate: 2 ms)")
    took = median_ms(lambda: engine.range(SUCCESS_RATE, 60_000, 119_000, 1000), times=10)
    print(f"range query request-success-rate, 60 steps: {took:.1f} ms")


def memory() -> None:
    """An hour of samples of 20 pods."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    store = filled(3600, PODS)
    cpu = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    samples = len(store) * 3600
    print(
        f"memory of 1 h, {PODS} pods, {len(store)} series: {grown:.0f} MiB, {grown * 2**20 / samples:.1f} B/sample"
    )
    print(f"reading expositions without HTTP: {cpu / 3600 / PODS * 1e6:.0f} us per scrape")


async def scraping() -> None:
    """The share of a core that scraping takes, HTTP included."""
    arguments = (sys.executable, "-m", "bench.metrics_store", "targets")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        engine = EmbeddedEngine(Limits(), Pace(timedelta(seconds=1)))
        task = asyncio.create_task(engine.run(lambda port: None))
        await asyncio.sleep(0.1)
        engine.aim(
            frozenset(Target(labels_of(pod_labels(n)), f"{HOST}:{port}", f"/{n}") for n in range(TARGETS))
        )
        await asyncio.sleep(2)
        began = time.process_time()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - began) / SECONDS * 100
        print(
            f"scraping {TARGETS} targets each second, {len(engine.store)} series: {share:.1f} % of a core (aim: 5 %)"
        )
        task.cancel()
        await asyncio.wait([task])
    finally:
        process.terminate()
        process.communicate()


async def targets() -> None:
    """Serve an exposition that moves on each second, until terminated."""
    from aiohttp import web

    from flagger.sandbox.metrics.listening import serving

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=exposition(int(time.time())))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["targets"]:
        asyncio.run(targets())
    else:
        queries()
        asyncio.run(scraping())
        memory()
