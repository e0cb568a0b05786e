"""One pass over `spec.analysis.metrics`: what is asked, in which order it is judged, what comes of it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import assert_never

import structlog

from flagger.api.analysis import REQUEST_DURATION, REQUEST_SUCCESS_RATE, Metric
from flagger.api.canary import Canary
from flagger.api.quantities import duration_or
from flagger.kube.cluster import Cluster
from flagger.metrics.base import MetricProvider, MetricResult, NoData, ProviderError, Reading, Sample
from flagger.metrics.builtin import Observer, observer_for
from flagger.metrics.judging import judge_duration, judge_number, judge_rate
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.sources import SourceError, Sources
from flagger.metrics.templating import TemplateError, render
from flagger.outbound import Outbound
from flagger.rollout.facts import Verdict

log = structlog.get_logger(__name__)

WINDOW = timedelta(minutes=1)
"""Window of a metric whose interval is missing or cannot be read."""


class Means(Enum):
    """One of the ways in which a metric is checked; a metric may be checked in several."""

    SUCCESS_RATE = 1
    DURATION = 2
    INLINE = 3
    TEMPLATE = 4
    UNUSABLE = 5
    """Neither built in, nor with a query, nor with a template."""


def checks_of(metrics: Iterable[Metric]) -> list[tuple[Metric, Means]]:
    """Return all checks in the order in which they are judged: built-in and inline ones, then templates."""
    first: list[tuple[Metric, Means]] = []
    second: list[tuple[Metric, Means]] = []
    for metric in metrics:
        if metric.name == REQUEST_SUCCESS_RATE:
            first.append((metric, Means.SUCCESS_RATE))
        if metric.name == REQUEST_DURATION:
            first.append((metric, Means.DURATION))
        if metric.query:
            first.append((metric, Means.INLINE))
        if metric.template_ref is not None:
            second.append((metric, Means.TEMPLATE))
        elif not metric.is_builtin and not metric.query:
            second.append((metric, Means.UNUSABLE))
    return first + second


def provider_string(mesh: str, canary: Canary) -> str:
    """Return what chooses the built-in queries: the Canary's provider, or the operator's (`mesh`)."""
    chosen = "crossover" if "crossover" in mesh else mesh
    if canary.spec.provider:
        # An ingress provider on a Linkerd cluster routes, but Linkerd measures.
        chosen = "linkerd" if "linkerd" in mesh else canary.spec.provider
    target = canary.spec.target_ref
    return f"{chosen}:service" if target.kind == "Service" and not target.is_knative else chosen


class MetricAnalysis:
    """Asks for the metrics of a Canary and judges them."""

    def __init__(self, cluster: Cluster, outbound: Outbound, *, metrics_server: str, mesh: str) -> None:
        """`metrics_server` is the URL and `mesh` the provider that count where a Canary names none."""
        self._sources = Sources(cluster, outbound, metrics_server)
        self._mesh = mesh

    async def analyse(self, canary: Canary) -> tuple[MetricResult, ...]:
        """Run one pass. Everything is asked at once, but judged and returned in upstream's order.

        The pass stops at the first result that is not a PASS, which is then the last one returned: what comes
        behind it is neither judged nor recorded, and what is still being asked is called off.
        """
        metrics = canary.spec.analysis.metrics
        if not metrics:
            return ()
        try:
            scene = await self._scene(canary)
        except SourceError as error:
            return (MetricResult(metrics[0].name, Verdict.ERROR, message=str(error)),)
        results: list[MetricResult] = []
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(scene.run(metric, check)) for metric, check in checks_of(metrics)]
            for task in tasks:
                results.append(await task)
                if results[-1].verdict is not Verdict.PASS:
                    break
            for task in tasks:
                task.cancel()
        return tuple(results)

    async def check_providers(self, canary: Canary) -> list[str]:
        """Return what stands in the way of asking, one sentence per backend; advisory.

        The metrics server is asked once, and each template's provider too, in the order of the metrics.
        """
        asked = [self._check_server(canary)] if _needs_server(canary.spec.analysis.metrics) else []
        asked += [
            self._check_template(canary, metric)
            for metric in canary.spec.analysis.metrics
            if metric.template_ref is not None
        ]
        return [problem for problem in await asyncio.gather(*asked) if problem]

    async def _check_server(self, canary: Canary) -> str:
        try:
            problem = await self._sources.server(canary).check()
        except SourceError as error:
            return str(error)
        return f"prometheus not available: {problem.problem}" if problem else ""

    async def _check_template(self, canary: Canary, metric: Metric) -> str:
        if metric.template_ref is None:
            return ""
        try:
            template, provider = await self._sources.template(canary, metric.template_ref)
        except SourceError as error:
            return str(error)
        problem = await provider.check()
        where = f"{template.metadata.name}.{template.metadata.namespace}"
        kind = template.spec.provider.type
        return f"{kind} in metric template {where} not available: {problem.problem}" if problem else ""

    async def _scene(self, canary: Canary) -> "_Scene":
        server = self._sources.server(canary)
        route = await self._sources.route(canary)
        return _Scene(canary, route, server, provider_string(self._mesh, canary), self._sources)


def _needs_server(metrics: Sequence[Metric]) -> bool:
    return any(metric.is_builtin or metric.query for metric in metrics)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all checks of one pass share."""

    canary: Canary
    route: str
    server: Prometheus
    provider: str
    sources: Sources

    async def run(self, metric: Metric, check: Means) -> MetricResult:
        match check:
            case Means.SUCCESS_RATE | Means.DURATION:
                return await self._built_in(metric, check)
            case Means.INLINE:
                return await self._inline(metric)
            case Means.TEMPLATE:
                return await self._template(metric)
            case Means.UNUSABLE:
                problem = (
                    f"Metric query failed for {metric.name}: no usable metrics template and query configured"
                )
                return MetricResult(metric.name, Verdict.ERROR, message=problem)
            case _:
                assert_never(check)

    async def _built_in(self, metric: Metric, check: Means) -> MetricResult:
        observer = observer_for(self.provider, self.canary.spec.target_ref.kind)
        if observer is None:
            problem = (
                f"there is no built-in {metric.name} for the provider {self.provider}; use a templateRef"
            )
            return MetricResult(metric.name, Verdict.ERROR, message=f"Prometheus query failed: {problem}")
        rate = check is Means.SUCCESS_RATE
        query = self._render_built_in(observer, observer.success_rate if rate else observer.latency, metric)
        reading = await self._ask(self.server, query, metric)
        if isinstance(reading, NoData) and rate:
            reading = await self._nothing_good(observer, metric, reading)
        match reading:
            case Sample(value=value) if rate:
                return replace(judge_rate(self.canary, metric, value), query=query)
            case Sample(value=value):
                judged = judge_duration(self.canary, metric, value, in_seconds=observer.in_seconds)
                return replace(judged, query=query)
            case NoData(detail=detail):
                what = f"{self.provider} metric {metric.name}"
                where = f"probably {self.canary.target_name}.{self.canary.namespace} is not receiving traffic"
                text = f"Halt advancement no values found for {what} {where}: {detail}"
                return MetricResult(metric.name, Verdict.NO_DATA, message=text, query=query)
            case ProviderError(problem=problem):
                text = f"Prometheus query failed: {problem}"
                return MetricResult(metric.name, Verdict.ERROR, message=text, query=query)
            case _:
                assert_never(reading)

    async def _nothing_good(self, observer: Observer, metric: Metric, reading: Reading) -> Reading:
        """Tell "no requests" from "no good requests": without a good one the rate has no value at all."""
        query = self._render_built_in(observer, observer.requests, metric)
        requests = await self._ask(self.server, query, metric)
        return Sample(0.0) if isinstance(requests, Sample) and requests.value > 0 else reading

    def _render_built_in(self, observer: Observer, text: str, metric: Metric) -> str:
        return render(text, observer.adapt(self.canary.query_model(metric.window, route=self.route)))

    async def _inline(self, metric: Metric) -> MetricResult:
        model = self.canary.query_model(metric.window, metric.template_variables, route=self.route)
        failed = f"Prometheus query failed for {metric.name}:"
        try:
            query = render(metric.query, model)
        except TemplateError as error:
            return MetricResult(metric.name, Verdict.ERROR, message=f"{failed} {error}")
        reading = await self._ask(self.server, query, metric)
        missing = f"Halt advancement no values found for metric: {metric.name}:"
        return self._number(metric, query, reading, (missing, failed))

    async def _template(self, metric: Metric) -> MetricResult:
        try:
            source = await self.sources.templated(self.canary, metric, self.route)
        except SourceError as error:
            return MetricResult(metric.name, Verdict.ERROR, message=str(error))
        reading = await self._ask(source.provider, source.query, metric)
        missing = f"Halt advancement no values found for custom metric: {metric.name}:"
        failed = f"Metric query failed for {metric.name}:"
        return self._number(metric, source.query, reading, (missing, failed))

    def _number(
        self, metric: Metric, query: str, reading: Reading, sentences: tuple[str, str]
    ) -> MetricResult:
        """Judge a plain number; `sentences` begin the messages without a value and without an answer."""
        missing, failed = sentences
        match reading:
            case Sample(value=value):
                return replace(judge_number(self.canary, metric, value), query=query)
            case NoData(detail=detail):
                return MetricResult(metric.name, Verdict.NO_DATA, message=f"{missing} {detail}", query=query)
            case ProviderError(problem=problem):
                return MetricResult(metric.name, Verdict.ERROR, message=f"{failed} {problem}", query=query)
            case _:
                assert_never(reading)

    async def _ask(self, provider: MetricProvider, query: str, metric: Metric) -> Reading:
        window = duration_or(metric.window, WINDOW)
        reading = await provider.query(query, window=window)
        context = {
            "canary": f"{self.canary.name}.{self.canary.namespace}",
            "metric": metric.name,
            "query": query,
        }
        log.debug("metric query", **context)
        if isinstance(reading, Sample) and reading.note:
            log.warning("metric query is ambiguous", note=reading.note, **context)
        return reading
