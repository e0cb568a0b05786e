"""Where we depart from upstream on purpose; the numbers are those of docs/differences.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from flagger.api.errors import FieldError
from flagger.api.phases import Phase
from flagger.rollout.decide import decide
from flagger.rollout.effects import PromotePrimary, RestorePrimary, ScaleDown, SetSplit
from flagger.rollout.facts import Facts
from flagger.rollout.repair import Repair, repairs, rightful_split
from flagger.rollout.state import AWAY, HOME, Decision, Feature, Readiness, Split
from flagger.rollout.steps import Ladder
from tests.rollout.simulation import EVERYTHING, World

STEPS = {"stepWeight": 50, "maxWeight": 50}
STUCK = "!it exceeded its progress deadline"


def a_run(analysis: dict[str, Any] | None = None, *, ticks: int = 2, **given: Any) -> World:
    """A World in which revision B has been under way for some ticks."""
    world = World(analysis or STEPS)
    world.given({"target": "B"})
    for _ in range(ticks):
        world.tick()
    world.given(given)
    return world


def hook(kind: str, name: str = "gate") -> dict[str, str]:
    """A webhook of one type."""
    return {"name": name, "type": kind, "url": "http://gate.shop"}


def test_d2_terminating_starts_nothing() -> None:
    """A Canary that is being deleted is not repaired and starts no run."""
    world = World(STEPS)
    world.status = with_fields(world.status, phase=Phase.TERMINATING)
    world.given({"target": "B"})

    assert world.tick().phase == "Terminating"
    assert not list(repairs(world.snapshot()))


def test_d4_an_invalid_spec_stops_the_canary_and_is_told_once() -> None:
    """The condition and one Warning name the field; the run under way doesn't go on with the invalid spec."""
    world = a_run()
    problem = FieldError("spec.analysis.stepWeights[1]", "10 is not above 20", "make the weights grow")
    seen = replace(world.snapshot(), problems=(problem,))

    first = decide(seen, Facts())
    assert isinstance(first, Decision)
    again = decide(replace(seen, last_reason=first.reason), Facts())

    assert isinstance(again, Decision)
    assert (first.effects, again.effects) == ((), ())
    assert "spec.analysis.stepWeights[1]" in first.told[0].text
    assert again.told == ()
    assert first.status.conditions[-1].type == "Accepted"
    assert first.status.conditions[-1].status == "False"


def test_d4_a_repaired_spec_is_accepted_again() -> None:
    """The condition goes away with the problem."""
    world = World(STEPS)
    problem = FieldError("spec.service.port", "is missing", "add it")
    rejected = decide(replace(world.snapshot(), problems=(problem,)), Facts())
    assert isinstance(rejected, Decision)
    world.status = rejected.status

    world.tick()

    assert [condition.type for condition in world.status.conditions] == ["Promoted"]


def test_d5_a_revision_is_not_swallowed_in_failed() -> None:
    """A revision that arrives while the primary is unready is released once the primary is ready again."""
    world = a_run(ticks=2, checks="fail")
    for _ in range(3):
        world.given({"checks": "fail"})
        world.tick()
    assert world.tick().phase == "Failed"
    world.given({"target": "C", "primary": "it restarts"})
    before = world.status

    assert world.tick().phase == "Failed"
    assert world.status == before, "nothing is written while nothing happens"
    world.given({"primary": "ready"})
    assert world.tick().phase == "Progressing"
    assert world.status.last_applied_spec == "C"


def test_d5_the_failed_revision_can_be_tried_again_after_a_revert() -> None:
    """Going back to the promoted revision and forth again is a new release; the time is left alone."""
    world = a_run({**STEPS, "threshold": 1}, ticks=2, checks="fail")
    world.tick()
    world.tick()
    assert (world.status.phase, world.status.last_applied_spec) == (Phase.FAILED, "B")
    ended = world.status.last_transition_time
    world.given({"target": "A"})
    world.tick()
    assert (world.status.last_applied_spec, world.status.last_transition_time) == ("A", ended)
    world.given({"target": "B"})

    assert world.tick().phase == "Progressing"


def test_d6_a_revision_pushed_just_before_the_rollback_is_released() -> None:
    """The rollback records the revision of its run, not the one the target happens to hold."""
    world = a_run(primary=STUCK)
    world.given({"target": "C"})
    assert world.tick().phase == "Failed"
    assert world.status.last_applied_spec == "B"
    world.given({"primary": "ready"})

    while world.tick().phase == "Failed":
        pass

    assert world.status.last_applied_spec == "C"


def test_d7_never_all_traffic_to_a_broken_primary() -> None:
    """After a failed promotion a new revision waits for the primary; then it starts from weight 0."""
    world = a_run(ticks=3, primary=STUCK)
    assert world.tick().split == "0/100"
    world.given({"target": "C"})
    assert (world.tick().split, world.target.replicas) == ("0/100", 2)
    world.given({"primary": "ready"})

    assert world.tick().split == "100/0"
    assert world.tick().phase == "Progressing"
    assert world.split == HOME
    assert world.tick().weight == 50


def test_d7_a_run_starts_from_the_primary_whatever_the_route_says() -> None:
    """Weights that somebody left on the canary are no progress of the next run."""
    world = World(STEPS)
    world.split = AWAY
    world.given({"target": "B"})

    assert world.tick().split == "100/0"


def test_d8_the_primary_gets_its_old_template_back() -> None:
    """After a failed promotion the primary runs, and the status names, the revision before."""
    world = a_run(ticks=3, primary=STUCK)
    world.tick()
    world.given({"primary": "ready"})
    world.tick()

    assert world.primary is not None
    assert world.primary.revision == "A"
    assert (world.status.last_promoted_spec, world.target.replicas) == ("A", 0)


def test_d8_a_canary_that_breaks_during_promotion_doesnt_undo_it() -> None:
    """The primary is ready with the new revision, so the traffic goes there at once and the run succeeds."""
    world = a_run({**STEPS, "stepWeightPromotion": 10}, ticks=3, canary=STUCK)

    assert (world.tick().split, world.tick().phase) == ("100/0", "Succeeded")


def test_d9_only_the_analysed_revision_is_promoted() -> None:
    """The effect carries the revision, so that the workload can refuse another."""
    world = a_run()

    decision = decide(world.snapshot(), Facts(checks=()))

    assert isinstance(decision, Decision)
    assert decision.effects == (PromotePrimary("B", None),)


def test_d11_a_revision_pushed_during_promotion_gets_no_traffic() -> None:
    """The remaining traffic leaves the canary at once; the revision is released afterwards."""
    world = a_run({**STEPS, "stepWeightPromotion": 10}, ticks=3)
    world.given({"target": "C"})

    assert [world.tick().split, world.tick().phase, world.tick().phase] == [
        "100/0",
        "Succeeded",
        "Progressing",
    ]
    assert world.status.last_applied_spec == "C"


def test_d12_a_shift_that_is_complete_goes_on() -> None:
    """Gradual promotion ends when the route is home already."""
    world = a_run({**STEPS, "stepWeightPromotion": 10}, ticks=3)
    world.split = HOME

    assert world.tick().phase == "Finalising"


def test_d14_rollback_hooks_are_asked_while_waiting() -> None:
    """A candidate can be refused before it starts; nothing is scaled, and it doesn't start by itself."""
    world = World({**STEPS, "webhooks": [hook("confirm-rollout"), hook("rollback", "abort")]})
    world.given({"target": "B", "hooks": {"gate": 403, "abort": 403}})
    assert world.tick().phase == "Waiting"
    world.given({"hooks": {"abort": 200}})

    tick = world.tick()

    assert (tick.phase, tick.target) == ("Failed", "0")
    assert world.tick().phase == "Failed"


def test_d16_pre_rollout_hooks_pass_once_per_run() -> None:
    """A closed traffic gate doesn't bring them back; a new revision does."""
    world = World({**STEPS, "webhooks": [hook("pre-rollout", "smoke"), hook("confirm-traffic-increase")]})
    world.given({"target": "B", "hooks": {"gate": 403}})
    asked = [world.tick().asked for _ in range(3)]
    world.given({"target": "C"})
    world.tick()

    assert asked[1:] == [
        ("pre-rollout=200", "confirm-traffic-increase=403"),
        ("confirm-traffic-increase=403",),
    ]
    assert world.tick().asked == ("pre-rollout=200", "confirm-traffic-increase=403")


def test_d17_a_mirror_step_that_cant_be_done_is_skipped() -> None:
    """One Warning per run says so, and the weights climb."""
    world = World({**STEPS, "mirror": True})
    world.features = EVERYTHING - {Feature.MIRROR_THEN_WEIGHTS}
    world.given({"target": "B"})
    world.tick()

    first, second = world.tick(), world.tick()

    assert first.weight == 50
    assert [said for said in first.said if "Mirroring is skipped" in said]
    assert not [said for said in second.said if "Mirroring" in said]


def test_d18_the_target_serves_until_the_primary_is_ready() -> None:
    """A primary that never becomes ready costs no traffic, not even past its deadline."""
    world = World(STEPS, initialized=False)
    world.given({"primary": STUCK})

    ticks = [world.tick() for _ in range(3)]

    assert {(tick.phase, tick.target, tick.split) for tick in ticks} == {("Initializing", "up", "n/a")}
    assert Repair.APEX not in list(repairs(world.snapshot()))


def test_d19_a_lost_primary_is_not_made_from_an_unproven_revision() -> None:
    """It is made again only where the target holds what was promoted."""
    world = a_run()
    world.primary = None
    assert Repair.PRIMARY not in list(repairs(world.snapshot()))
    world.given({"target": "A"})

    assert Repair.PRIMARY in list(repairs(world.snapshot()))


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        pytest.param({"iterations": 1, "match": [{"headers": {"x": {"exact": "y"}}}]}, "Promoting", id="A/B"),
        pytest.param({"iterations": 1}, "Progressing", id="blue/green"),
    ],
)
def test_d22_fewer_iterations_in_mid_run(analysis: dict[str, Any], expected: str) -> None:
    """A/B goes on to promote; blue/green switches the traffic first."""
    world = a_run({**analysis, "iterations": 5}, ticks=4)
    world.spec = {**world.spec, "analysis": {**world.spec["analysis"], "iterations": 1}}

    tick = world.tick()

    assert (tick.phase, tick.split) == (expected, "0/100")


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        pytest.param(0, 5, id="first rung"),
        pytest.param(7, 25, id="off the ladder, after a manual edit"),
        pytest.param(25, 60, id="on a rung"),
        pytest.param(60, 100, id="past the last rung"),
    ],
)
def test_d23_next_weight(weight: int, expected: int) -> None:
    """The canary climbs to the next higher rung."""
    assert Ladder(top=60, rungs=(5, 25, 60)).next(weight) == expected


@pytest.mark.parametrize(
    ("step", "top", "weights"),
    [(10, 50, [10, 20, 30, 40, 50]), (20, 50, [20, 40, 60]), (60, 100, [60, 100])],
)
def test_equal_steps_may_pass_the_maximum_but_not_all(step: int, top: int, weights: list[int]) -> None:
    """The last step may overshoot `maxWeight`, as upstream's does."""
    ladder, climbed = Ladder(top=top, step=step), [0]
    while climbed[-1] < top:
        climbed.append(ladder.next(climbed[-1]))

    assert climbed[1:] == weights


def test_d25_suspension_is_told_once() -> None:
    """The event doesn't come back while nothing changes, and nothing is touched."""
    world = a_run(spec={"suspend": True})
    before = (world.split, world.status)

    said = [world.tick().said for _ in range(3)]

    assert said == [("N: skipping canary run as object is suspended",), (), ()]
    assert (world.split, world.status) == before


def test_d31_the_condition_says_what_happened() -> None:
    """A failed promotion is not reported as scaled to zero."""
    world = a_run(ticks=3, primary=STUCK)
    world.tick()

    assert "scaled to zero" not in world.status.conditions[0].message


def test_d36_a_mirror_that_cant_be_set_stops_the_tick() -> None:
    """Mirroring is an effect like every other; the iteration is counted after it."""
    world = a_run({"iterations": 3, "mirror": True}, ticks=1)

    decision = decide(world.snapshot(), Facts())

    assert isinstance(decision, Decision)
    assert decision.effects == (SetSplit(Split(0, mirrored=True)),)
    assert decision.status.iterations == 1


def test_d37_a_candidate_that_is_withdrawn_is_not_released() -> None:
    """Reverting the target while it waits for approval returns to rest; the gate isn't asked again."""
    world = World({**STEPS, "webhooks": [hook("confirm-rollout")]})
    world.given({"target": "B", "hooks": {"gate": 403}})
    world.tick()
    world.given({"target": "A"})

    tick = world.tick()

    assert (tick.phase, tick.asked) == ("Succeeded", ())


def test_a_rejected_route_doesnt_hold_up_a_rollback() -> None:
    """Going back needs no reading of the route."""
    world = a_run({**STEPS, "threshold": 1}, checks="fail")
    world.tick()
    seen = replace(world.snapshot(), split=None, split_trouble="the gateway rejects it")

    decision = decide(seen, Facts())

    assert isinstance(decision, Decision)
    assert decision.effects[0] == SetSplit(HOME)
    assert ScaleDown() in decision.effects


def test_a_step_that_is_not_taken_over_yet_is_not_taken_back() -> None:
    """A correction of the routes leaves what the gateway has still to accept; a lost route begins at home."""
    world = a_run(ticks=2)
    moving = world.snapshot()
    assert moving.split is not None
    assert moving.split != HOME

    waiting = replace(moving, split=None, split_trouble="not accepted yet", written=moving.split)
    lost = replace(moving, split=None, split_trouble="not found")

    assert rightful_split(waiting) == moving.split
    assert rightful_split(lost) == HOME


def test_a_run_whose_primary_is_gone_leaves_the_traffic_with_the_canary() -> None:
    """Rolling back to a primary without a single pod would be an outage."""
    world = a_run()
    assert world.primary is not None
    world.primary.readiness = Readiness(False, "no pod is left", terminal=True)

    tick = world.tick()

    assert (tick.phase, tick.split, tick.target) == ("Failed", "0/100", "up")


def test_a_failed_promotion_restores_the_primary_before_anything_else_can_happen() -> None:
    """Traffic to the canary first, then the old template."""
    world = a_run(ticks=3, primary=STUCK)

    decision = decide(world.snapshot(), Facts())

    assert isinstance(decision, Decision)
    assert decision.effects == (SetSplit(AWAY), RestorePrimary())


def test_ab_testing_on_a_router_that_cant_match_is_refused() -> None:
    """No traffic moves, the Canary stays idle, and one Warning says why."""
    world = World({"iterations": 3, "match": [{"headers": {"x": {"exact": "y"}}}]})
    world.features = EVERYTHING - {Feature.MATCH}
    world.given({"target": "B"})

    first, second = world.tick(), world.tick()

    assert (first.phase, first.split, first.target) == ("Initialized", "100/0", "0")
    assert "can't route matching requests alone" in first.said[0]
    assert second.said == ()
