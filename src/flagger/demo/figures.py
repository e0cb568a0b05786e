"""The figures that the verdict rests on, of both sides, asked of the same metrics server as the operator asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from flagger.api.canary import QueryModel
from flagger.demo.scene import NAME, NAMESPACE_NAME, PROVIDER
from flagger.metrics.base import Sample
from flagger.metrics.builtin import observer_for
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.templating import render

WINDOW = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Figures:
    """Success rate in percent and 99th percentile of the latency in milliseconds; None without traffic."""

    success_rate: float | None = None
    latency: float | None = None

    @property
    def rate(self) -> str:
        """The success rate as text."""
        return "-" if self.success_rate is None else f"{self.success_rate:.2f} %"

    @property
    def p99(self) -> str:
        """The latency as text."""
        return "-" if self.latency is None else f"{self.latency:.0f} ms"


@dataclass(frozen=True, slots=True)
class Both:
    """The figures of primary and canary at one moment."""

    primary: Figures = Figures()
    canary: Figures = Figures()


async def figures(server: Prometheus) -> Both:
    """What the metrics server says of the last few seconds; nothing where it has no answer."""
    primary, canary = await asyncio.gather(_figures(server, f"{NAME}-primary"), _figures(server, NAME))
    return Both(primary, canary)


async def _figures(server: Prometheus, workload: str) -> Figures:
    observer = observer_for(PROVIDER, "Deployment")
    if observer is None:
        return Figures()
    model = QueryModel(
        name=workload,
        namespace=NAMESPACE_NAME,
        target=workload,
        service=workload,
        ingress=workload,
        route=workload,
        interval=f"{WINDOW.total_seconds():.0f}s",
        variables={},
    )
    rate = await _value(server, render(observer.success_rate, model))
    latency = await _value(server, render(observer.latency, model))
    return Figures(rate, None if latency is None else latency * 1000)


async def _value(server: Prometheus, query: str) -> float | None:
    reading = await server.query(query, window=WINDOW)
    return reading.value if isinstance(reading, Sample) else None
