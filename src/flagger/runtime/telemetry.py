"""The operator's own metrics, under upstream's names and labels.

`name` is the target's name, as upstream has it. Weights and rates are percentages, durations are seconds.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from flagger.api.canary import Canary
from flagger.api.phases import Phase
from flagger.rollout.state import Outcome, Split

_STATUS = {Phase.PROGRESSING: 0, Phase.FAILED: 2}  # 1 in every other phase
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds


class Telemetry:
    """All series of one operator process; forgets those of deleted Canaries."""

    def __init__(self, version: str, provider: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        info = Gauge(
            "flagger_info", "Version and default provider.", ["version", "mesh_provider"], registry=registry
        )
        info.labels(version, provider).set(1)
        self._total = Gauge(
            "flagger_canary_total", "Canaries per namespace.", ["namespace"], registry=registry
        )
        each = ["name", "namespace"]
        self._status = Gauge(
            "flagger_canary_status", "0 running, 1 successful, 2 failed.", each, registry=registry
        )
        self._weight = Gauge(
            "flagger_canary_weight",
            "Share of traffic in percent.",
            ["workload", "namespace"],
            registry=registry,
        )
        self._duration = Histogram(
            "flagger_canary_duration_seconds",
            "Duration of ticks that reached the analysis.",
            each,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._analysis = Gauge(
            "flagger_canary_metric_analysis", "Last value of a metric.", [*each, "metric"], registry=registry
        )
        ended = [*each, "deployment_strategy", "analysis_status"]
        self._successes = Counter("flagger_canary_successes", "Runs promoted.", ended, registry=registry)
        self._failures = Counter("flagger_canary_failures", "Runs failed.", ended, registry=registry)

    def population(self, counts: dict[str, int]) -> None:
        """Set the number of Canaries per namespace; a namespace that emptied shows 0."""
        for (namespace,) in list(self._total._metrics):  # noqa: SLF001 - the library offers no way to list labels
            self._total.labels(namespace).set(counts.get(namespace, 0))
        for namespace, count in counts.items():
            self._total.labels(namespace).set(count)

    def phase(self, canary: Canary, phase: Phase) -> None:
        """Set the status gauge."""
        self._status.labels(canary.target_name, canary.namespace).set(_STATUS.get(phase, 1))

    def split(self, canary: Canary, split: Split) -> None:
        """Set the weight gauges of both sides."""
        self._weight.labels(canary.primary_name, canary.namespace).set(split.primary)
        self._weight.labels(canary.target_name, canary.namespace).set(split.canary)

    def checked(self, canary: Canary, metric: str, value: float) -> None:
        """Set the value of a metric, in the unit that the analysis judged."""
        self._analysis.labels(canary.target_name, canary.namespace, metric).set(value)

    def ticked(self, canary: Canary, seconds: float) -> None:
        """Observe the duration of a tick that reached the analysis."""
        self._duration.labels(canary.target_name, canary.namespace).observe(seconds)

    def ended(self, canary: Canary, strategy: str, outcome: Outcome) -> None:
        """Count the end of a run."""
        failed = outcome is Outcome.FAILED
        status = Outcome.PROMOTED if failed else outcome
        counter = self._failures if failed else self._successes
        counter.labels(canary.target_name, canary.namespace, strategy, str(status)).inc()

    def forget(self, canary: Canary) -> None:
        """Drop the series of a deleted Canary."""
        for family in (self._status, self._analysis, self._duration, self._successes, self._failures):
            family.remove_by_labels({"name": canary.target_name, "namespace": canary.namespace})
        for workload in (canary.primary_name, canary.target_name):
            self._weight.remove_by_labels({"workload": workload, "namespace": canary.namespace})
