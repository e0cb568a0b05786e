"""What the metrics of 1,000 Canaries cost the operator, and how long its own part of a query takes.

The server has a process of its own; `python -m bench.metric_queries serve` is that one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bench import loops
from bench.figures import Figure, at_most, quantile
from bench.processes import ROOT
from bench.scripted_metrics import metrics_server
from flagger.api.canary import Canary
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.metrics.analysis import MetricAnalysis
from flagger.metrics.base import Tools
from flagger.outbound import Call, Outbound
from flagger.rollout.facts import Verdict
from flagger.runtime.logs import configure_logs
from flagger.runtime.settings import Settings

CANARIES, INTERVAL = 1000, 10.0  # seconds
ROUNDS = 3
BUILT_IN = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "thresholdRange": {"max": 500}},
]
SHARED = [
    {"name": f"errors-{number}", "query": f"sum(errors{number})", "threshold": 1e9} for number in range(2)
]


def run() -> list[Figure]:
    """Measure queries that differ from Canary to Canary, and such as they share."""
    configure_logs(Settings().log_level, Settings().zap_encoding)
    with _server() as url:
        return loops.run(_measure(url))


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.metric_queries", "serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _canary(number: int, metrics: list[dict[str, Any]]) -> Canary:
    name = f"app-{number}"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"targetRef": target, "analysis": {"interval": f"{INTERVAL:.0f}s", "metrics": metrics}}
    return Canary.parse({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})


async def _measure(url: str) -> list[Figure]:
    async with (
        Outbound() as outbound,
        Client(Connection("http://127.0.0.1:1")) as client,
        Cluster(client) as cluster,
    ):
        tools = Tools(outbound, client)
        apart = await _rounds(MetricAnalysis(cluster, tools, metrics_server=url, mesh="kubernetes"), BUILT_IN)
        before = await _count(tools, url)
        await _rounds(MetricAnalysis(cluster, tools, metrics_server=url, mesh="kubernetes"), SHARED)
        requests = await _count(tools, url) - before
        alone = await _one_by_one(MetricAnalysis(cluster, tools, metrics_server=url, mesh="kubernetes"))
    of = f"{CANARIES:,} Canaries with 2 metrics at {INTERVAL:.0f} s"
    return [
        Figure(f"CPU, {of}", "cores", apart, at_most(0.5), f"this process alone; server apart; {loops.NAME}"),
        Figure(
            "a query's own part p99",
            "ms",
            (quantile([own for own, _ in alone], 0.99),),
            at_most(5),
            f"CPU of this process, one query at a time: rendered, asked, judged; {len(alone):,} queries",
        ),
        Figure(
            "a query with its answer p99",
            "ms",
            (quantile([whole for _, whole in alone], 0.99),),
            note="wall time of the same; the server's part and everybody else's share of the machine are in it",
        ),
        Figure(
            "requests when all ask the same",
            "1/s",
            (requests / (ROUNDS * INTERVAL),),
            at_most(2 * CANARIES / INTERVAL / 100),
            f"of {2 * CANARIES / INTERVAL:.0f} questions a second",
        ),
    ]


async def _rounds(analysis: MetricAnalysis, metrics: list[dict[str, Any]]) -> tuple[float, ...]:
    """CPU per second while each Canary is looked at once an interval, evenly spread."""
    canaries = [_canary(number, metrics) for number in range(CANARIES)]
    used = []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for number, canary in enumerate(canaries):
                await asyncio.sleep(began + number * INTERVAL / CANARIES - time.perf_counter())
                group.create_task(_pass(analysis, canary))
        await asyncio.sleep(began + INTERVAL - time.perf_counter())
        used.append((time.process_time() - cpu) / (time.perf_counter() - began))
    return tuple(used)


async def _pass(analysis: MetricAnalysis, canary: Canary) -> None:
    results = await analysis.analyse(canary)
    assert {result.verdict for result in results} == {Verdict.PASS}, results


async def _one_by_one(analysis: MetricAnalysis) -> list[tuple[float, float]]:
    """CPU and wall time of passes with a single query, in ms, when nothing else goes on."""
    found = []
    for number in range(CANARIES):
        canary = _canary(number, BUILT_IN[:1])
        began, cpu = time.perf_counter(), time.process_time()
        await _pass(analysis, canary)
        found.append(((time.process_time() - cpu) * 1000, (time.perf_counter() - began) * 1000))
    return found


async def _count(tools: Tools, url: str) -> int:
    answer = await tools.outbound.send(Call(url=f"{url}/count"))
    return int(msgspec.json.decode(answer.body))


async def _serve() -> None:
    async with metrics_server() as (url, _):
        print(url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    loops.run(_serve())
