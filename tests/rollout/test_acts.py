"""What people order, in every phase: the whole table, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from flagger.api.phases import Phase
from flagger.api.status import Hold, RunRecord
from flagger.rollout.decide import decide
from flagger.rollout.facts import Facts, Permission, Permit
from flagger.rollout.state import Decision
from tests.rollout.simulation import INTERVAL, Tick, World

GATED = {
    "stepWeight": 20,
    "maxWeight": 40,
    "webhooks": [
        {"name": "start", "type": "confirm-rollout", "url": "gate://start"},
        {"name": "more", "type": "confirm-traffic-increase", "url": "http://gate.shop"},
        {"name": "promotion", "type": "confirm-promotion", "url": "gate://promotion"},
    ],
}
FREE = {"stepWeight": 20, "maxWeight": 40}


def initializing() -> World:
    world = World(FREE, initialized=False)
    world.given({"primary": "it starts"})
    world.tick()
    return world


def initialized() -> World:
    return World(FREE)


def waiting() -> World:
    world = World(GATED)
    world.given({"target": "B"})
    world.tick()
    return world


def progressing(analysis: dict[str, Any] | None = None, *, ticks: int = 2) -> World:
    world = World(analysis or FREE)
    world.given({"target": "B"})
    for _ in range(ticks):
        world.tick()
    return world


def at_gate() -> World:
    hooks = [{"name": "promotion", "type": "confirm-promotion", "url": "gate://promotion"}]
    return progressing({**FREE, "webhooks": hooks}, ticks=4)


def promoting() -> World:
    world = progressing(ticks=4)
    world.given({"primary": "it rolls"})
    return world


def finalising() -> World:
    return progressing(ticks=5)


def succeeded() -> World:
    return progressing(ticks=6)


def failed() -> World:
    world = progressing({**FREE, "threshold": 1})
    world.given({"checks": "fail"})
    world.tick()
    world.tick()
    return world


def terminating() -> World:
    world = initialized()
    world.status = with_fields(world.status, phase=Phase.TERMINATING)
    return world


STAGES: dict[str, Callable[[], World]] = {
    "Initializing": initializing,
    "Initialized": initialized,
    "Succeeded": succeeded,
    "Waiting": waiting,
    "Progressing": progressing,
    "WaitingPromotion": at_gate,
    "Promoting": promoting,
    "Finalising": finalising,
    "Failed": failed,
    "Terminating": terminating,
}
GONE = "Refused.Terminating"
YOUNG = "Refused.Initializing"
TABLE = {
    "approve": {
        "Initializing": YOUNG,
        "Initialized": "Refused.NoRun",
        "Succeeded": "Refused.NoRun",
        "Waiting": "Applied.GateOpened → Progressing 100/0",
        "Progressing": "Refused.NoGate → Progressing 60/40",
        "WaitingPromotion": "Applied.GateOpened → Promoting 60/40",
        "Promoting": "Applied.NoEffect",
        "Finalising": "Applied.NoEffect",
        "Failed": "Refused.Over",
        "Terminating": GONE,
    },
    "abort": {
        "Initializing": YOUNG,
        "Initialized": "Refused.NoRun",
        "Succeeded": "Refused.NoRun",
        "Waiting": "Applied.Aborted → Failed 100/0",
        "Progressing": "Applied.Aborted → Failed 100/0",
        "WaitingPromotion": "Applied.Aborted → Failed 100/0",
        "Promoting": "Refused.TooLate",
        "Finalising": "Refused.TooLate",
        "Failed": "Applied.NoEffect",
        "Terminating": GONE,
    },
    "pause": {
        "Initializing": YOUNG,
        "Initialized": "Applied.Paused → Initialized 100/0",
        "Succeeded": "Applied.Paused → Succeeded 100/0",
        "Waiting": "Applied.Paused → Waiting 100/0",
        "Progressing": "Applied.Paused → Progressing 80/20",
        "WaitingPromotion": "Applied.Paused → WaitingPromotion 60/40",
        "Promoting": "Refused.TooLate",
        "Finalising": "Refused.TooLate",
        "Failed": "Applied.Paused → Failed 100/0",
        "Terminating": GONE,
    },
    "resume": dict.fromkeys(STAGES, "Applied.NoEffect") | {"Terminating": GONE},
    "promote": {
        "Initializing": YOUNG,
        "Initialized": "Refused.NoRun",
        "Succeeded": "Refused.NoRun",
        "Waiting": "Refused.NotStarted",
        "Progressing": "Applied.Promoted → Promoting 80/20",
        "WaitingPromotion": "Refused.AtGate → WaitingPromotion 60/40",
        "Promoting": "Applied.NoEffect",
        "Finalising": "Applied.NoEffect",
        "Failed": "Refused.Over",
        "Terminating": GONE,
    },
    "promote step": {
        "Initializing": YOUNG,
        "Initialized": "Refused.NoRun",
        "Succeeded": "Refused.NoRun",
        "Waiting": "Refused.NotStarted",
        "Progressing": "Applied.Stepped → Progressing 60/40",
        "WaitingPromotion": "Refused.AtGate",
        "Promoting": "Refused.TooLate",
        "Finalising": "Refused.TooLate",
        "Failed": "Refused.Over",
        "Terminating": GONE,
    },
    "retry": {
        "Initializing": YOUNG,
        "Initialized": "Refused.NotFailed",
        "Succeeded": "Refused.NotFailed",
        "Waiting": "Refused.Running",
        "Progressing": "Refused.Running",
        "WaitingPromotion": "Refused.Running",
        "Promoting": "Refused.Running",
        "Finalising": "Refused.Running",
        "Failed": "Applied.Retried → Progressing 100/0",
        "Terminating": GONE,
    },
    "abort previous": dict.fromkeys(STAGES, "Refused.NotKept") | {"Terminating": GONE},
}
CELLS = [
    pytest.param(act, stage, cell, id=f"{act}, {stage}")
    for act, row in TABLE.items()
    for stage, cell in row.items()
]


def outcome(tick: Tick) -> str:
    """The stable name of what became of the only act."""
    (result,) = tick.results
    return result.answer.name


def scoped(act: str) -> dict[str, str]:
    """The action and the scope of a row."""
    action, _, scope = act.partition(" ")
    return {"action": action, **({"scope": scope} if scope else {})}


@pytest.mark.parametrize(("act", "stage", "cell"), CELLS)
def test_every_act_in_every_phase(act: str, stage: str, cell: str) -> None:
    """One cell of the table: what becomes of the act, and of the release where that is more than without it."""
    world, same = STAGES[stage](), STAGES[stage]()
    assert world.status.phase == stage
    code, _, after = cell.partition(" → ")

    world.act(**scoped(act))
    tick, otherwise = world.tick(), same.tick()

    assert outcome(tick) == code
    if after:
        assert f"{tick.phase} {tick.split.split(' ')[0]}" == after
    else:
        assert (tick.phase, tick.split, tick.weight) == (otherwise.phase, otherwise.split, otherwise.weight)
    assert not world.outages


def test_the_table_is_complete() -> None:
    """Each act has a cell for each phase."""
    assert {act: set(row) for act, row in TABLE.items()} == {act: set(STAGES) for act in TABLE}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("Initializing", "Terminating")])
def test_a_resume_ends_a_pause_in_every_phase(stage: str) -> None:
    """Also while a promotion is under way, when nothing waits for it."""
    world = STAGES[stage]()
    hold = Hold(by="ben", reason="incident 812")
    world.status = with_fields(world.status, run=with_fields(_run(world), hold=hold))

    world.act("resume")

    assert outcome(world.tick()) == "Applied.Resumed"
    assert _run(world).hold is None


def _run(world: World) -> RunRecord:
    return world.status.run or RunRecord()


LADDER = {"stepWeight": 10, "maxWeight": 50, "threshold": 5}


def test_the_first_timeline() -> None:
    """Pause, a failed check meanwhile, resume, promote, and an abort that comes too late."""
    world = progressing(LADDER, ticks=2)
    assert (tick := world.tick()).said == ("N: Advance checkout.shop canary weight 20",)

    world.act("pause", requestedBy={"username": "ben"}, reason="incident 812")
    tick = world.tick()
    assert (tick.phase, tick.split, outcome(tick)) == ("Progressing", "80/20", "Applied.Paused")
    assert tick.said == (
        "N: paused by ben: incident 812",
        "W: Halt checkout.shop advancement waiting for traffic increase approval pause",
    )
    assert (tick.alerts, world.asked_checks) == (("warn",), True)

    world.given({"checks": "fail"})
    tick = world.tick()
    assert (tick.phase, tick.split, tick.failed) == ("Progressing", "80/20", 1)
    world.given({})
    assert world.tick().said == (), "a pause is told once"

    world.act("resume")
    tick = world.tick()
    assert (tick.split, outcome(tick)) == ("70/30", "Applied.Resumed")
    assert tick.said == ("N: resumed by ana", "N: Advance checkout.shop canary weight 30")

    world.act("promote", reason="hotfix")
    tick = world.tick()
    assert (tick.phase, tick.split, tick.alerts) == ("Promoting", "70/30", ("warn",))
    assert tick.said == (
        "W: Promotion of checkout.shop forced by ana: hotfix",
        "N: Copying checkout-api.shop template spec to checkout-api-primary.shop",
    )
    assert not world.asked_checks

    world.act("abort", requestedBy={"username": "ben"})
    world.given({"primary": "it rolls"})
    tick = world.tick()
    assert (tick.phase, outcome(tick)) == ("Promoting", "Refused.TooLate")
    world.given({"primary": "ready"})
    assert [world.tick().phase, world.tick().phase] == ["Finalising", "Succeeded"]


def test_the_second_timeline() -> None:
    """An abort goes before an older approval; a retry runs the same revision from the beginning."""
    world = at_gate()
    number = _run(world).number
    world.act("approve", gate="promotion")
    world.act("abort", requestedBy={"username": "ben"}, reason="wrong flag")

    tick = world.tick()

    assert (tick.phase, tick.split) == ("Failed", "100/0")
    assert {str(r.act.spec.action): r.answer.name for r in tick.results} == {
        "abort": "Applied.Aborted",
        "approve": "Superseded.Aborted",
    }
    assert tick.said[-2:] == (
        "W: Rolling back checkout.shop aborted by ben: wrong flag",
        "W: Canary failed! Scaling down checkout.shop",
    )
    assert world.tick().phase == "Failed", "it does not start again by itself"

    world.act("retry", requestedBy={"username": "ben"})
    tick = world.tick()
    assert (tick.phase, tick.split, tick.weight, tick.failed) == ("Progressing", "100/0", 0, 0)
    assert "N: New revision detected! Scaling up checkout-api.shop" in tick.said
    assert (_run(world).number, _run(world).approvals) == (number + 1, ())
    phases = [world.tick().phase for _ in range(3)]
    assert phases[-1] == "WaitingPromotion", "the gates are closed again"


def test_a_pause_at_rest_holds_the_next_revision_back() -> None:
    """It behaves as a closed gate before the run; resuming starts the run."""
    world = initialized()
    world.act("pause", reason="freeze")
    assert world.tick().phase == "Initialized"
    world.given({"target": "B"})
    tick = world.tick()
    assert (tick.phase, tick.target) == ("Waiting", "0")
    assert tick.said == ("W: Halt checkout.shop advancement waiting for approval pause",)
    assert (tick.alerts, world.tick().said) == (("warn",), ())

    world.act("resume")
    assert world.tick().phase == "Progressing"


def test_a_pause_at_the_limit_holds_the_promotion() -> None:
    """The phase is the one that old tools know; the checks go on and can still take the run back."""
    world = progressing({**FREE, "threshold": 2}, ticks=3)
    assert world.status.canary_weight == 40
    world.act("pause")
    tick = world.tick()
    assert (tick.phase, tick.split) == ("WaitingPromotion", "60/40")
    assert "W: Halt checkout.shop advancement waiting for promotion approval pause" in tick.said
    for _ in range(2):
        world.given({"checks": "fail"})
        world.tick()
    assert world.tick().phase == "Failed"


def test_a_pause_outlives_a_run_and_its_approvals_do_not() -> None:
    """A new revision starts over and stays at 0, with its gates closed."""
    hooks = [{"name": "promotion", "type": "confirm-promotion", "url": "gate://promotion"}]
    world = progressing({**FREE, "webhooks": hooks})
    world.act("approve", gate="promotion")
    world.act("pause")
    world.tick()
    assert len(_run(world).approvals) == 1
    world.given({"target": "C"})
    world.tick()
    assert _run(world).approvals == ()
    tick = world.tick()
    assert (tick.phase, tick.split) == ("Progressing", "100/0")
    assert "W: Halt checkout.shop advancement waiting for traffic increase approval pause" in tick.said


def test_a_pause_ends_by_itself() -> None:
    """At `until`, with an event; a past time is refused."""
    world = progressing(ticks=2)
    world.act("pause", until=(world.now + 2 * INTERVAL).isoformat())
    assert world.tick().split == "80/20"
    tick = world.tick()
    assert (tick.split, tick.said[0]) == ("60/40", "N: resumed: the pause by ana has ended")
    world.act("pause", until=(world.now - INTERVAL).isoformat())
    assert outcome(world.tick()) == "Refused.Invalid"


@pytest.mark.parametrize(
    "analysis",
    [
        pytest.param({"iterations": 3}, id="blue/green"),
        pytest.param({"iterations": 3, "match": [{"headers": {"x": {"exact": "on"}}}]}, id="a/b"),
    ],
)
def test_a_pause_stops_counting_iterations(analysis: dict[str, Any]) -> None:
    """The passes go on, and nothing is counted but failed checks."""
    world = progressing(analysis, ticks=2)
    world.act("pause")
    assert [world.tick().iterations, world.tick().iterations] == [1, 1]
    assert world.asked_checks
    world.act("resume")
    assert world.tick().iterations == 2


def test_promote_in_blue_green_switches_first() -> None:
    """All traffic goes to the canary for a tick, then the promotion begins; no iteration is waited for."""
    world = progressing({"iterations": 9}, ticks=2)
    world.act("promote")
    tick = world.tick()
    assert (tick.phase, tick.split) == ("Progressing", "0/100")
    assert world.tick().phase == "Promoting"


def test_promote_still_asks_the_promotion_gate() -> None:
    """The steps are skipped, the gate is not; an approval then promotes."""
    world = progressing(
        {**FREE, "webhooks": [{"name": "change-board", "type": "confirm-promotion", "url": "gate://board"}]}
    )
    world.act("promote")
    tick = world.tick()
    assert (tick.phase, tick.split, outcome(tick)) == ("WaitingPromotion", "80/20", "Applied.Promoted")
    assert (tick := world.tick()).split == "80/20", "it does not climb while it waits"
    world.act("approve", gate="board")
    assert world.tick().phase == "Promoting"


def test_promote_while_paused_waits_for_the_pause() -> None:
    """A pause is the gate of the promotion too."""
    world = progressing()
    world.act("pause")
    world.tick()
    world.act("promote")
    assert world.tick().phase == "WaitingPromotion"
    world.act("resume")
    assert world.tick().phase == "Promoting"


def test_promote_waits_for_readiness() -> None:
    """It stays pending and says why, and is done when the canary is ready."""
    world = progressing()
    world.given({"canary": "it starts"})
    world.act("promote")
    tick = world.tick()
    assert outcome(tick) == "Pending.Waits"
    assert "it starts" in tick.results[0].answer.message
    world.given({"canary": "ready"})
    assert world.tick().phase == "Promoting"


def test_a_failed_check_counts_in_the_tick_of_a_step() -> None:
    """The step is taken all the same."""
    world = progressing()
    world.act("promote", scope="step")
    world.given({"checks": "fail"})
    tick = world.tick()
    assert (tick.split, tick.failed) == ("60/40", 1)


def test_a_step_does_not_pass_the_maximum() -> None:
    """An equal step that would overshoot is cut; at the maximum only the promotion is left."""
    world = progressing({"stepWeight": 30, "maxWeight": 40})
    world.act("promote", scope="step")
    assert world.tick().split == "60/40"
    world.act("promote", scope="step")
    assert outcome(world.tick()) == "Refused.AtLimit"


def test_a_step_from_another_weight_is_too_late() -> None:
    """The weight that it was meant for binds it."""
    world = progressing(LADDER, ticks=3)
    world.act("promote", scope="step", pin={"run": 1, "weight": 10})
    assert outcome(world.tick()) == "Superseded.Moved"


def test_abort_needs_no_ready_canary() -> None:
    """It goes before readiness and before a change of the target."""
    world = progressing()
    world.given({"canary": "it starts", "target": "C"})
    world.act("abort")
    assert world.tick().phase == "Failed"


def test_a_rejected_candidate_is_not_scaled() -> None:
    """Nothing was scaled, nothing comes back by itself; a retry asks the gate again."""
    world = waiting()
    world.act("abort", gate="start")
    tick = world.tick()
    assert (tick.phase, tick.target, outcome(tick)) == ("Failed", "0", "Applied.Rejected")
    assert world.tick().phase == "Failed"
    world.act("retry")
    tick = world.tick()
    assert (tick.phase, outcome(tick)) == ("Waiting", "Applied.Retried")
    assert world.tick().phase == "Waiting", "it was not withdrawn"
    world.act("approve")
    assert world.tick().phase == "Progressing"


def test_frozen_refuses_everything_but_resume() -> None:
    """A frozen Canary is not written to; the pause of somebody may be ended."""
    world = progressing()
    world.act("pause")
    world.tick()
    world.given({"spec": {"suspend": True}})
    for action in ("approve", "abort", "pause", "promote", "retry"):
        world.act(action)
        assert outcome(world.tick()) == "Refused.Frozen"
    world.act("resume")
    assert outcome(world.tick()) == "Applied.Resumed"
    assert world.status.phase == "Progressing"


def test_skip_analysis_can_be_paused() -> None:
    """A release without analysis is held before its promotion."""
    world = progressing(ticks=1)
    world.given({"spec": {"skipAnalysis": True}})
    world.act("pause")
    assert world.tick().phase == "WaitingPromotion"
    world.act("resume")
    assert world.tick().phase == "Succeeded"


class TestGates:
    """Gates that need no service, and those that do."""

    def test_a_quorum(self) -> None:
        """Two people are needed; nobody counts twice."""
        hooks = [{"name": "board", "type": "confirm-promotion", "url": "gate://promotion?approvals=2"}]
        world = progressing({**FREE, "webhooks": hooks}, ticks=4)
        world.act("approve", gate="promotion")
        tick = world.tick()
        assert (tick.phase, outcome(tick)) == ("WaitingPromotion", "Applied.Recorded")
        assert tick.results[0].answer.message == (
            "1 of 2 approvals of gate board (ana); another person is needed"
        )
        world.act("approve")
        assert outcome(world.tick()) == "Refused.Twice"
        world.act("approve", requestedBy={"username": "ben"})
        tick = world.tick()
        assert (tick.phase, outcome(tick)) == ("Promoting", "Applied.GateOpened")
        assert "N: approved gate board by ben" in tick.said

    def test_an_approval_expires(self) -> None:
        """What was given too early does not count any more."""
        hooks = [{"name": "p", "type": "confirm-promotion", "url": "gate://p?expires=20s"}]
        world = progressing({**FREE, "webhooks": hooks}, ticks=2)
        world.act("approve", gate="p")
        world.tick()
        assert world.tick().phase == "WaitingPromotion"

    def test_an_approval_is_kept_for_later(self) -> None:
        """The gate of the promotion may be opened while the run still climbs."""
        hooks = [{"name": "p", "type": "confirm-promotion", "url": "gate://p"}]
        world = progressing({**FREE, "webhooks": hooks}, ticks=2)
        world.act("approve", gate="p")
        assert [world.tick().phase, world.tick().phase] == ["Progressing", "Promoting"]

    def test_each_step_is_approved(self) -> None:
        """An approval opens the next step only; the remaining ones can be opened at once."""
        hooks = [{"name": "more", "type": "confirm-traffic-increase", "url": "gate://more"}]
        world = progressing({"stepWeights": [10, 20, 30, 40], "webhooks": hooks}, ticks=2)
        assert world.split is not None
        assert world.split.canary == 0
        world.act("approve")
        assert [world.tick().split, world.tick().split] == ["90/10", "90/10"]
        world.act("approve", scope="remaining-steps")
        assert [world.tick().split, world.tick().split] == ["80/20", "70/30"]

    def test_a_foreign_gate_decides_by_itself(self) -> None:
        """An override opens it for one run, and it is not asked any more."""
        hooks = [{"name": "itsm", "type": "confirm-promotion", "url": "http://itsm.corp"}]
        world = progressing({**FREE, "webhooks": hooks}, ticks=3)
        world.given({"hooks": {"itsm": 403}})
        assert world.tick().phase == "WaitingPromotion"
        world.act("approve", gate="itsm")
        assert outcome(world.tick()) == "Refused.ForeignGate"
        world.act("approve", gate="itsm", override=True)
        tick = world.tick()
        assert (tick.phase, tick.asked) == ("Promoting", ())

    @pytest.mark.parametrize("name", ["itsm", "people"])
    def test_gates_are_met_in_order(self, name: str) -> None:
        """A closed gate of ours before a hook keeps the hook from being asked, also one of the same name."""
        hooks = [
            {"name": "people", "type": "confirm-rollout", "url": "gate://people"},
            {"name": name, "type": "confirm-rollout", "url": "http://itsm.corp"},
        ]
        world = World({**FREE, "webhooks": hooks})
        world.given({"target": "B"})
        assert world.tick().asked == ()
        world.act("approve")
        tick = world.tick()
        assert (tick.phase, tick.asked) == ("Progressing", ("confirm-rollout=200",))

    @pytest.mark.parametrize(
        ("spec", "code"),
        [
            ({"gate": "nobody"}, "Refused.NoGate"),
            ({"gate": "pause"}, "Refused.Paused"),
            ({}, "Refused.Ambiguous"),
        ],
    )
    def test_a_gate_that_is_not_meant(self, spec: dict[str, Any], code: str) -> None:
        """One must be named where there are several, and it must be there."""
        hooks = [{"name": name, "type": "confirm-promotion", "url": f"gate://{name}"} for name in "ab"]
        world = progressing({**FREE, "webhooks": hooks}, ticks=4)
        world.act("approve", **spec)
        assert outcome(world.tick()) == code


@pytest.mark.parametrize(
    ("pin", "code"),
    [
        pytest.param({"run": 1}, "Applied.Stepped", id="this run"),
        pytest.param({"revision": "B"}, "Applied.Stepped", id="this revision"),
        pytest.param({"image": "checkout:2"}, "Applied.Stepped", id="this image"),
        pytest.param({"run": 2}, "Refused.Moved", id="a run to come"),
        pytest.param({"run": 0}, "Superseded.Moved", id="a run that is over"),
        pytest.param({"revision": "A"}, "Superseded.Moved", id="another revision"),
        pytest.param({"image": "checkout:3"}, "Pending.Waits", id="an image to come"),
        pytest.param({}, "Refused.Invalid", id="nothing"),
    ],
)
def test_what_an_act_is_meant_for(pin: dict[str, Any], code: str) -> None:
    """It does nothing to anything else."""
    world = progressing()
    world.images = frozenset({"checkout:2"})
    world.act("promote", scope="step", pin=pin)
    assert outcome(world.tick()) == code


def test_an_approval_may_come_before_its_image() -> None:
    """Both come from one commit: the approval waits for the run, and opens its gate."""
    world = World(GATED)
    world.act("approve", gate="start", pin={"image": "checkout:2"})
    assert outcome(world.tick()) == "Pending.Waits"
    world.images = frozenset({"checkout:2"})
    world.given({"target": "B"})
    assert (tick := world.tick()).phase == "Waiting"
    assert outcome(tick) == "Pending.Waits"
    tick = world.tick()
    assert (tick.phase, outcome(tick)) == ("Progressing", "Applied.GateOpened")


def test_an_act_expires() -> None:
    """What could not be applied in time never is."""
    world = progressing()
    world.given({"canary": "it starts"})
    world.act("promote", expiresAt=(world.now + timedelta(seconds=40)).isoformat())
    assert outcome(world.tick()) == "Pending.Waits"
    assert outcome(world.tick()) == "Expired.TooLate"
    world.given({"canary": "ready"})
    assert world.tick().phase == "Progressing"


class TestRights:
    """Rights are asked for at the moment at which a verified act would take effect."""

    def test_a_forbidden_act(self) -> None:
        """The refusal names the verb."""
        world = progressing()
        world.forbidden = {"promote"}
        world.act("promote", verified=True)
        tick = world.tick()
        assert (tick.phase, outcome(tick)) == ("Progressing", "Refused.Forbidden")
        assert tick.results[0].answer.message == "ana lacks the verb promote on canaries.flagger.app"

    def test_rights_that_cannot_be_told(self) -> None:
        """The act waits, and the release goes on."""
        world = progressing()
        world.act("promote", verified=True)
        seen = world.snapshot()
        asked = decide(seen, Facts())
        assert isinstance(asked, Permit)
        facts = Facts().with_permission(asked, Permission(allowed=False, trouble="forbidden"))
        verdict = decide(seen, facts.with_checks(()))
        assert isinstance(verdict, Decision)
        (result,) = verdict.results
        assert result.answer.name == "Pending.Unknown"
        assert verdict.status.canary_weight == 40

    def test_nobody_is_asked_about_an_act_that_has_no_effect(self) -> None:
        """What the phase refuses is refused before."""
        world = progressing()
        world.forbidden = {"retry"}
        world.act("retry", verified=True)
        assert outcome(world.tick()) == "Refused.Running"

    def test_who_paused_may_resume(self) -> None:
        """The right to pause is enough for one's own pause, and for no other."""
        world = progressing()
        world.forbidden = {"resume"}
        for by in ("ana", "ben"):
            world.act("pause", verified=True, requestedBy={"username": by})
            world.tick()
            world.act("resume", verified=True)
            assert outcome(world.tick()) == ("Applied.Resumed" if by == "ana" else "Refused.Forbidden")


class TestOnce:
    """A tick that is cut short anywhere leaves an act applied exactly once."""

    @pytest.mark.parametrize("effects", [0, 1])
    @pytest.mark.parametrize("top", [20, 50])
    def test_a_step_whose_status_was_not_written(self, effects: int, top: int) -> None:
        """The route has moved, perhaps to the top, the record has not: the same step is recorded, no other is taken."""
        world = progressing({**LADDER, "maxWeight": top}, ticks=2)
        world.act("promote", scope="step")
        world.crash(after=effects)
        tick = world.tick()
        assert (tick.phase, tick.split, tick.weight) == ("Progressing", "80/20", 20)
        assert outcome(tick) == "Applied.Stepped"

    @pytest.mark.parametrize(
        ("act", "stage", "end"),
        [
            ("abort", "Progressing", ("Failed", "100/0")),
            ("abort", "WaitingPromotion", ("Failed", "100/0")),
            ("promote", "Progressing", ("Promoting", "80/20")),
            ("retry", "Failed", ("Progressing", "100/0")),
        ],
    )
    @pytest.mark.parametrize("effects", [0, 1, 2, 3])
    def test_an_order_whose_status_was_not_written(
        self, act: str, stage: str, end: tuple[str, str], effects: int
    ) -> None:
        """The tick is repeated and comes to the same end."""
        world = STAGES[stage]()
        before = _run(world).number
        world.act(act)
        world.crash(after=effects)
        tick = world.tick()
        assert (tick.phase, tick.split) == end
        assert _run(world).number == before + (act == "retry")
        assert not world.outages

    @pytest.mark.parametrize(
        ("act", "stage"),
        [
            ("promote step", "Progressing"),
            ("promote", "Progressing"),
            ("abort", "Progressing"),
            ("retry", "Failed"),
            ("pause", "Progressing"),
            ("approve", "WaitingPromotion"),
        ],
    )
    def test_an_act_whose_result_was_not_written(self, act: str, stage: str) -> None:
        """The status knows of it: only the result is recorded, and nothing happens a second time."""
        world, once = STAGES[stage](), STAGES[stage]()
        asked = world.act(**scoped(act))
        once.act(**scoped(act))
        first = world.tick()
        once.tick()
        world.acts = [asked]
        world.status = world.reread()

        again, otherwise = world.tick(), once.tick()

        assert (again.phase, again.split, again.weight) == (
            otherwise.phase,
            otherwise.split,
            otherwise.weight,
        )
        (result,) = again.results
        assert (result.again, result.answer) == (True, first.results[0].answer)

    def test_a_pause_whose_result_was_lost_does_not_come_back(self) -> None:
        """A resume that came after it stays in force."""
        world = progressing()
        lost = world.act("pause")
        world.tick()
        world.act("resume")
        world.tick()
        world.acts = [lost]
        world.tick()
        assert _run(world).hold is None

    def test_a_retry_that_was_recorded_before_its_run_started(self) -> None:
        """Where the record is written before the phase, a restart finishes that start and begins no other."""
        world = failed()
        asked = world.act("retry")
        before = world.status
        world.tick()
        started = _run(world)
        world.status = with_fields(before, run=started)
        world.acts = [asked]

        tick = world.tick()

        assert (tick.phase, _run(world).number) == ("Progressing", started.number)
        assert len(_run(world).acts) == 1


class TestEarlyTicks:
    """An act brings a tick at once; that must not make a run faster than its interval."""

    def test_an_act_that_moves_nothing(self) -> None:
        """A refused act, or an approval for later, neither analyses nor advances."""
        world = progressing()
        world.early = True
        world.act("retry")
        tick = world.tick()
        assert (tick.split, world.asked_checks, outcome(tick)) == ("80/20", False, "Refused.Running")

    def test_a_pause_that_ends_before_it_held_anything(self) -> None:
        """The run goes on at its own time."""
        world = progressing()
        world.early = True
        world.act("pause")
        world.tick()
        world.act("resume")
        assert world.tick().split == "80/20"
        world.early = False
        assert world.tick().split == "60/40"

    def test_what_has_been_waiting_goes_on_at_once(self) -> None:
        """A gate that a pass has found closed opens without another wait."""
        world = progressing()
        world.act("pause")
        world.tick()
        world.early = True
        world.act("resume")
        assert world.tick().split == "60/40"

    @pytest.mark.parametrize(("act", "split"), [("promote step", "60/40"), ("abort", "100/0")])
    def test_orders_need_no_time(self, act: str, split: str) -> None:
        """They are what the tick is for."""
        world = progressing()
        world.early = True
        world.act(**scoped(act))
        assert world.tick().split == split

    def test_traffic_comes_home_at_its_own_pace(self) -> None:
        """Somebody's refused act does not hurry a gradual promotion."""
        world = progressing({**FREE, "stepWeightPromotion": 10}, ticks=4)
        world.early = True
        world.act("pause")
        assert world.tick().split == "60/40"


@pytest.mark.parametrize(("readiness", "code"), [("ready", "Pending.Next"), ("it starts", "Pending.Queued")])
def test_one_order_per_tick(readiness: str, code: str) -> None:
    """The second comes with the next tick, which is due at once if the first is through."""
    world = progressing(LADDER)
    world.given({"canary": readiness})
    world.act("promote", scope="step")
    world.act("promote", scope="step")
    first, second = world.tick().results
    assert second.answer.name == code
    world.given({"canary": "ready"})
    assert world.tick().weight == (30 if readiness == "ready" else 20)
    assert first.act.created < second.act.created


def test_a_hold_of_the_object_itself() -> None:
    """An annotation pauses for as long as it is there; a resume says who to ask."""
    world = progressing()
    world.hold = Hold(reason="incident 812")
    assert world.tick().split == "80/20"
    world.act("resume")
    assert outcome(world.tick()) == "Refused.Held"
    world.hold = None
    assert world.tick().split == "60/40"


def test_no_act_leaves_no_trace() -> None:
    """Without acts the record of a run is what it was before there were any."""
    world = progressing()
    run = _run(world)
    assert (run.acts, run.approvals, run.hold, run.forced, run.retried) == ((), (), None, "", False)
