"""Metrics without a verdict: what holds a run, what fails it, for how long, and who is told."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.rollout.facts import Check, Verdict
from tests.rollout.simulation import Tick, World

SILENT = Check("request-success-rate", Verdict.NO_DATA, message="Halt advancement no values found for it")
GONE = Check("errors", Verdict.ERROR, message="Metric query failed for errors: connection refused")
BAD = Check("errors", Verdict.FAIL, message="Halt checkout.shop advancement errors 7.00 > 5")
GOOD = Check("errors", Verdict.PASS)
UNTIL = "W: Halt checkout.shop advancement for up to {} without a verdict: {}"


def a_run(*, annotations: dict[str, str] | None = None, **analysis: Any) -> World:
    """A run at 20 %, whose interval is 30 seconds and whose threshold is 3."""
    world = World({"stepWeight": 20, "maxWeight": 60, **analysis}, annotations=annotations or {})
    world.given({"target": "B"})
    world.tick()
    world.tick()
    assert world.status.canary_weight > 0
    return world


def ticks(world: World, count: int, *checks: Check) -> list[Tick]:
    """Some ticks in which the analysis finds these checks."""
    world.checks = checks
    return [world.tick() for _ in range(count)]


@pytest.mark.parametrize("check", [SILENT, GONE])
def test_silence_holds(check: Check) -> None:
    """The weight stays, nothing is counted, and one event says why; then the run goes on."""
    world = a_run()
    silent = ticks(world, 10, check)
    assert {(tick.phase, tick.split, tick.failed) for tick in silent} == {("Progressing", "80/20", 0)}
    assert silent[0].said == (UNTIL.format("30m0s", check.message),)
    assert not [tick.said for tick in silent[1:] if tick.said]
    assert [tick.split for tick in ticks(world, 2, GOOD)] == ["60/40", "40/60"]
    assert world.status.run is not None
    assert (world.status.run.held, world.status.run.held_since) == ("", None)


def test_the_hold_ends() -> None:
    """After half an hour without a verdict every pass counts as failed, and the run is rolled back in the end."""
    world = a_run()
    held = ticks(world, 60, GONE)
    assert {tick.failed for tick in held} == {0}
    counted = ticks(world, 4, GONE)
    assert [tick.failed for tick in counted] == [1, 2, 3, 0]
    assert counted[0].said == (f"W: {GONE.message}",)
    assert (counted[-1].phase, counted[-1].split) == ("Failed", "100/0")


def test_a_verdict_begins_the_hold_anew() -> None:
    """The limit is that of one silence, not of all silences of a run together."""
    world = a_run(holdLimit="5m", stepWeight=1)
    for _ in range(5):
        assert {tick.failed for tick in ticks(world, 10, SILENT)} == {0}
        ticks(world, 1, GOOD)
    assert world.status.failed_checks == 0
    assert ticks(world, 1, SILENT)[0].said == (UNTIL.format("5m0s", SILENT.message),)


def test_another_reason_is_told() -> None:
    """When no data becomes no answer, people hear of it once more, and the limit goes on."""
    world = a_run(holdLimit="2m")
    said = [tick.said for tick in (*ticks(world, 2, SILENT), *ticks(world, 2, GONE))]
    assert said == [
        (UNTIL.format("2m0s", SILENT.message),),
        (),
        (UNTIL.format("2m0s", GONE.message),),
        (),
    ]
    assert ticks(world, 1, GONE)[0].failed == 1


def test_silence_hides_no_bad_value() -> None:
    """A bad value counts at once, whatever stands before it in the list."""
    world = a_run()
    (tick,) = ticks(world, 1, SILENT, BAD)
    assert (tick.failed, tick.said) == (1, (f"W: {BAD.message}",))


@pytest.mark.parametrize(
    ("policy", "check", "failed"),
    [
        pytest.param({"noData": "fail"}, SILENT, 1, id="no data, field"),
        pytest.param({"noData": "fail"}, GONE, 0, id="the other one still holds"),
        pytest.param({"providerError": "fail"}, GONE, 1, id="errors, field"),
        pytest.param({"providerError": "fail"}, SILENT, 0, id="and the other way round"),
        pytest.param({"holdLimit": "0s"}, GONE, 1, id="nothing is held"),
    ],
)
def test_policies(policy: dict[str, str], check: Check, failed: int) -> None:
    """Each kind of silence can be made to count as upstream has it; the sentences are upstream's then."""
    (tick,) = ticks(a_run(**policy), 1, check)
    assert tick.failed == failed
    assert (f"W: {check.message}" in tick.said) is bool(failed)


@pytest.mark.parametrize(
    ("annotations", "analysis", "check", "failed"),
    [
        ({"release.flagger.app/no-data": "fail"}, {}, SILENT, 1),
        ({"release.flagger.app/provider-error": "fail"}, {}, GONE, 1),
        ({"release.flagger.app/hold-limit": "0s"}, {}, GONE, 1),
        ({"release.flagger.app/no-data": "never"}, {}, SILENT, 0),
        ({"release.flagger.app/no-data": "fail"}, {"noData": "hold"}, SILENT, 0),
    ],
)
def test_annotations(
    annotations: dict[str, str], analysis: dict[str, str], check: Check, failed: int
) -> None:
    """Where the CRD drops the fields, annotations say the same; fields win."""
    (tick,) = ticks(a_run(annotations=annotations, **analysis), 1, check)
    assert tick.failed == failed


def test_a_restart_changes_nothing() -> None:
    """A new process reads from the status how long there has been no verdict, and says nothing again."""
    steady, restarted = a_run(holdLimit="5m"), a_run(holdLimit="5m")
    for _ in range(14):
        (expected,), (tick,) = ticks(steady, 1, GONE), ticks(restarted, 1, GONE)
        assert tick == expected
        restarted.status, restarted.last_reason = restarted.reread(), ""
    assert (
        steady.status.failed_checks == restarted.status.failed_checks == 3 or steady.status.phase == "Failed"
    )


def test_holding_writes_once() -> None:
    """A hold is one write of the status, when it begins."""
    world = a_run()
    ticks(world, 1, GONE)
    before = world.status
    ticks(world, 20, GONE)
    assert world.status == before


def test_what_the_policy_reads_as() -> None:
    """Fields, annotations and defaults end up in one policy."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "c"}
    canary = Canary.parse(
        {
            "metadata": {"name": "c", "annotations": {"release.flagger.app/hold-limit": "-1m"}},
            "spec": {"targetRef": target, "analysis": {"providerError": "fail"}},
        }
    )
    holding = canary.holding
    assert (holding.no_data, holding.provider_error, holding.limit.total_seconds()) == ("hold", "fail", 0)
