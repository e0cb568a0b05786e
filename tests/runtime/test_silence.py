"""Releases whose metrics fall silent: Prometheus is away for ten minutes, and comes back, or does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flagger.kube.objects import annotations_of
from flagger.runtime.commit import RUN_ANNOTATION
from flagger.runtime.kinds import CANARY
from tests.fakes.cluster import a_canary, a_lab, a_target, upstreams_definitions
from tests.runtime.operating import METRICS, Bench, a_bench

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 60, "metrics": METRICS}
TICKS = 20  # of 30 seconds each: ten minutes


async def at_twenty(bench: Bench, **metadata: Any) -> None:
    """A run with a fifth of the traffic on the canary."""
    canary = a_canary(analysis=WEIGHTED)
    canary["metadata"] |= metadata
    await bench.initialized(a_target(), canary)
    await bench.push()
    await bench.tick()
    await bench.lab.rolled_out("checkout")
    await bench.tick()
    assert await bench.weights() == [80, 20]


async def outage(bench: Bench, ticks: int) -> list[tuple[str, int, list[int]]]:
    """Phase, failed checks and weights after each tick without a metrics server."""
    await bench.metrics.__aexit__()
    rows = []
    for _ in range(ticks):
        await bench.tick()
        status = await bench.status()
        rows.append((status["phase"], status["failedChecks"], await bench.weights()))
    return rows


def waits(told: list[str]) -> list[str]:
    return [text for text in told if "without a verdict" in text]


async def test_prometheus_is_away_for_ten_minutes(bench: Bench) -> None:
    """Nobody is rolled back; one Event says why the run waits; it goes on where it was."""
    await at_twenty(bench)
    assert await outage(bench, TICKS) == [("Progressing", 0, [80, 20])] * TICKS
    (told,) = waits(await bench.told())
    begins = "W: Halt checkout.shop advancement for up to 30m0s without a verdict: Prometheus query failed: "
    assert told.startswith(begins + bench.metrics.url)
    assert "connection refused (query: sum(rate(http_request_duration_seconds_count" in told

    await bench.metrics.__aenter__()
    await bench.tick()
    assert await bench.weights() == [60, 40]
    assert "held" not in (await bench.status())["run"]


async def test_a_restart_during_the_outage(bench: Bench) -> None:
    """What the status remembers is enough: no second Event, and the limit counts from the first silence."""
    await at_twenty(bench)
    await outage(bench, 30)
    bench.restart()
    rows = await outage(bench, 33)
    assert [failed for _, failed, _ in rows][-4:] == [0, 1, 2, 3]
    assert len(waits(await bench.told())) == 1
    await bench.tick()
    assert (await bench.status())["phase"] == "Failed"
    assert "W: Rolling back checkout.shop failed checks threshold reached 3" in await bench.told()


async def test_upstreams_way(bench: Bench) -> None:
    """With `fail` each tick without an answer is a failed check, in upstream's words."""
    await at_twenty(bench, annotations={"release.flagger.app/provider-error": "fail"})
    rows = await outage(bench, 4)
    assert [(phase, failed) for phase, failed, _ in rows] == [
        ("Progressing", 1),
        ("Progressing", 2),
        ("Progressing", 3),
        ("Failed", 0),
    ]
    assert waits(await bench.told()) == []


@pytest.fixture
async def upstreams_crds() -> AsyncIterator[Bench]:
    """Ticks on a cluster whose CRD drops what upstream's does not know."""
    async with a_lab(upstreams_definitions()) as lab, a_bench(lab) as bench:
        yield bench


async def test_on_upstreams_crds(upstreams_crds: Bench) -> None:
    """There, annotations set the limit and keep the record, and a restart forgets nothing."""
    bench = upstreams_crds
    await at_twenty(bench, annotations={"release.flagger.app/hold-limit": "2m"})
    rows = await outage(bench, 3)
    assert "heldSince" in annotations_of(await bench.lab.get(CANARY))[RUN_ANNOTATION]
    bench.restart()
    rows += await outage(bench, 3)
    assert [failed for _, failed, _ in rows] == [0, 0, 0, 0, 1, 2]
    assert len(waits(await bench.told())) == 1
