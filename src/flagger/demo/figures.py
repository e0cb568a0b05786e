"""The figures that the verdict rests on, of both sides, asked of the same metrics server as the operator asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flagger.api.canary import QueryModel
from flagger.metrics.base import Sample
from flagger.metrics.builtin import observer_for
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.templating import render

WINDOW = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Figures:
    """Success rate in percent and 99th percentile of the latency in milliseconds; None without traffic."""

    success_rate: float | None = None
    latency: float | None = None

    def __str__(self) -> str:
        rate = "no traffic" if self.success_rate is None else f"{self.success_rate:.2f} %"
        latency = "no traffic" if self.latency is None else f"{self.latency:.0f} ms"
        return f"success rate {rate}, p99 {latency}"


async def figures_of(server: Prometheus, namespace: str, workload: str) -> Figures:
    """The figures of one workload's pods over the last ten seconds."""
    observer = observer_for("gatewayapi:v1", "Deployment")
    if observer is None:
        return Figures()
    model = QueryModel(
        name=workload,
        namespace=namespace,
        target=workload,
        service=workload,
        ingress=workload,
        route=workload,
        interval="10s",
        variables={},
    )
    rate = await _value(server, render(observer.success_rate, model))
    latency = await _value(server, render(observer.latency, model))
    return Figures(rate, None if latency is None else latency * 1000)


async def _value(server: Prometheus, query: str) -> float | None:
    reading = await server.query(query, window=WINDOW)
    return reading.value if isinstance(reading, Sample) else None
