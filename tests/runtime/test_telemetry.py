"""The operator's own metrics: upstream's names, labels and values."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flagger.api.canary import Canary
from flagger.api.phases import Phase
from flagger.kube.objects import DEPLOYMENT
from flagger.rollout.state import Outcome, Split
from flagger.runtime.kinds import CANARY
from flagger.runtime.telemetry import Telemetry
from tests.fakes.cluster import SHOP, a_canary, a_target
from tests.runtime.operating import METRICS, Bench

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}
NAMED = {"name": "checkout", "namespace": SHOP}


def series(telemetry: Telemetry) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of our families, as a scraper sees them."""
    families = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels})
        for family in families
        if family.name.startswith("flagger_")
    }


def everything() -> Telemetry:
    """A telemetry in which each family has a series."""
    telemetry, canary = Telemetry("1.2.3", "istio"), Canary.parse(a_canary())
    telemetry.population({SHOP: 1})
    telemetry.phase(canary, Phase.PROGRESSING)
    telemetry.split(canary, Split(30))
    telemetry.checked(canary, "errors", 0.5)
    telemetry.ticked(canary, 0.2)
    telemetry.ended(canary, "canary", Outcome.PROMOTED)
    telemetry.ended(canary, "canary", Outcome.FAILED)
    return telemetry


def test_names_types_and_labels() -> None:
    """Dashboards and alerts rely on all eight; there are no companions that count creation times."""
    ended = {"name", "namespace", "deployment_strategy", "analysis_status"}

    assert series(everything()) == {
        "flagger_info": ("gauge", {"version", "mesh_provider"}),
        "flagger_canary_total": ("gauge", {"namespace"}),
        "flagger_canary_status": ("gauge", {"name", "namespace"}),
        "flagger_canary_weight": ("gauge", {"workload", "namespace"}),
        "flagger_canary_duration_seconds": ("histogram", {"name", "namespace", "le"}),
        "flagger_canary_metric_analysis": ("gauge", {"name", "namespace", "metric"}),
        "flagger_canary_successes": ("counter", ended),
        "flagger_canary_failures": ("counter", ended),
    }


def test_buckets() -> None:
    """Those of upstream, which are not the library's."""
    text = generate_latest(everything().registry).decode()
    bounds = [
        line.split('le="')[1].split('"')[0]
        for line in text.splitlines()
        if line.startswith("flagger_canary_duration_seconds_bucket")
    ]

    assert bounds == [
        "0.005",
        "0.01",
        "0.025",
        "0.05",
        "0.1",
        "0.25",
        "0.5",
        "1.0",
        "2.5",
        "5.0",
        "10.0",
        "+Inf",
    ]


@pytest.mark.parametrize(
    ("phase", "value"),
    [(phase, {Phase.PROGRESSING: 0, Phase.FAILED: 2}.get(phase, 1)) for phase in Phase],
    ids=lambda value: str(value) or "new",
)
def test_status_values(phase: Phase, value: int) -> None:
    """0 is running, 2 failed, 1 everything else."""
    telemetry = Telemetry("1", "istio")
    telemetry.phase(Canary.parse(a_canary()), phase)

    assert telemetry.registry.get_sample_value("flagger_canary_status", NAMED) == value


def test_an_emptied_namespace_has_no_canaries() -> None:
    """The series goes back to 0 rather than staying at its last value."""
    telemetry = Telemetry("1", "istio")
    telemetry.population({"a": 2, "b": 1})
    telemetry.population({"b": 3})

    values = [
        telemetry.registry.get_sample_value("flagger_canary_total", {"namespace": name}) for name in "ab"
    ]
    assert values == [0, 3]


def test_a_deleted_canary_leaves_nothing() -> None:
    """All series of its target go; others of the namespace stay."""
    telemetry, other = everything(), Canary.parse(a_canary("cart"))
    telemetry.phase(other, Phase.FAILED)

    telemetry.forget(Canary.parse(a_canary()))

    text = generate_latest(telemetry.registry).decode()
    assert "checkout" not in text
    assert 'name="cart"' in text


class Watcher:
    """Reads the series of one bench."""

    def __init__(self, bench: Bench) -> None:
        self._registry = bench.world.telemetry.registry

    def value(self, family: str, /, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"flagger_canary_{family}", {"namespace": SHOP, **labels})

    def row(self) -> tuple[float | None, ...]:
        """Status, weight of the primary, weight of the canary, analysed ticks."""
        return (
            self.value("status", name="checkout"),
            self.value("weight", workload="checkout-primary"),
            self.value("weight", workload="checkout"),
            self.value("duration_seconds_count", name="checkout"),
        )


async def test_a_run_as_the_gauges_tell_it(bench: Bench) -> None:
    """Series begin with the end of initialization and follow each tick of the run."""
    watcher, lab = Watcher(bench), bench.lab
    await lab.add(a_target(), a_canary(analysis=WEIGHTED))
    await bench.tick()
    assert watcher.row() == (None, None, None, None)
    await lab.rolled_out("checkout-primary")
    rows = []
    await bench.tick()
    await bench.push()
    for _ in range(7):
        rows.append(watcher.row())
        await bench.tick()
        for name in ("checkout", "checkout-primary"):
            await lab.rolled_out(name)

    assert rows == [
        (1, 100, 0, None),
        (0, 100, 0, None),
        (0, 80, 20, 1),
        (0, 60, 40, 2),
        (1, 60, 40, 3),
        (1, 100, 0, 3),
        (1, 100, 0, 3),
    ]
    ended = {"name": "checkout", "deployment_strategy": "canary", "analysis_status": "completed"}
    assert watcher.value("successes_total", **ended) == 1
    assert watcher.value("metric_analysis", name="checkout", metric="request-success-rate") == 100
    assert watcher.value("metric_analysis", name="checkout", metric="request-duration") == 0.02


async def test_a_failure_as_the_gauges_tell_it(bench: Bench) -> None:
    """Rolled back: status 2, all traffic on the primary, one failure."""
    watcher = Watcher(bench)
    await bench.initialized(a_target(), a_canary(analysis={**WEIGHTED, "threshold": 1}))
    await bench.push()
    for rate in (100, 100, 0, 0):
        bench.metrics.rate = rate
        await bench.tick()
        await bench.lab.rolled_out("checkout")

    assert watcher.row()[:3] == (2, 100, 0)
    ended = {"name": "checkout", "deployment_strategy": "canary", "analysis_status": "completed"}
    assert watcher.value("failures_total", **ended) == 1
    assert watcher.value("metric_analysis", name="checkout", metric="request-success-rate") == 0


async def test_what_stands_still_keeps_its_values(bench: Bench) -> None:
    """A suspended or invalid Canary is not counted as anything else than before."""
    watcher = Watcher(bench)
    await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
    await bench.push()
    await bench.tick()
    before = watcher.row()
    await bench.lab.change(CANARY, {"spec": {"suspend": True}})
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 0}})
    await bench.tick()

    assert watcher.row() == before
