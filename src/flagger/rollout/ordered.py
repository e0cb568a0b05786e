"""What a run does when somebody orders its promotion, or one step, without waiting for the evidence."""

from __future__ import annotations

from dataclasses import replace

from flagger.api.analysis import Strategy
from flagger.api.phases import Phase
from flagger.rollout import record, strategies
from flagger.rollout.act import Act, ActResult, Order, applied
from flagger.rollout.analysis import examine, opening
from flagger.rollout.capacity import ANALYSING
from flagger.rollout.effects import SetSplit
from flagger.rollout.facts import Facts, Need
from flagger.rollout.plan import Plan, plan
from flagger.rollout.state import AWAY, HOME, Alert, Decision, Event, Severity, Snapshot, Split
from flagger.rollout.strategies import remembering


def forced(seen: Snapshot, facts: Facts) -> Need | Decision | None:
    """The promotion without the remaining steps and passes; while its gate is closed, the passes go on."""
    ordered = seen.order is not None and seen.order.order is Order.PROMOTE
    if seen.phase not in ANALYSING or not (ordered or (seen.status.run and seen.status.run.forced)):
        return None
    course = plan(seen)
    blue_green = course.strategy is Strategy.BLUE_GREEN
    move = strategies.switched(seen, facts, course) if blue_green else strategies.promotion(seen, facts)
    if not isinstance(move, Decision):
        return move
    if seen.order is not None and ordered:
        return _announced(seen, move, seen.order)
    if move.status.phase is not Phase.WAITING_PROMOTION:
        return move
    passed = examine(seen, facts, course)
    return remembering(seen, move, passed) if isinstance(passed, tuple) else passed


def step(seen: Snapshot, facts: Facts) -> Need | Decision | None:
    """One step now, whatever this tick's pass says; what it says still counts."""
    act = seen.order
    if act is None or act.order is not Order.STEP or seen.phase not in ANALYSING:
        return None
    course = plan(seen)
    passed = examine(seen, facts, course)
    if isinstance(passed, Decision):
        if opening(seen, course):  # the pre-rollout hooks refuse: there is no run to hurry on yet
            return passed
        seen, told = replace(seen, status=passed.status), passed.told
    elif isinstance(passed, tuple):
        told = passed
    else:
        return passed
    move = remembering(seen, _rung(seen, course), (Event(f"stepped {act.says}"), *told))
    return replace(move, examined=True, results=(ActResult(act, applied("Stepped", move.reason)),))


def _announced(seen: Snapshot, move: Decision, act: Act) -> Decision:
    text = f"forced {act.says}"
    told = (
        Event(f"Promotion of {seen.name} {text}", warning=True),
        Alert(f"Promotion {text}", Severity.WARN),
    )
    waits = move.status.phase is Phase.WAITING_PROMOTION
    answer = applied("Promoted", f"the remaining steps are skipped{f', {move.reason}' if waits else ''}")
    status = record.noted(move.status, forced=act.spec.who)
    return replace(move.after(*told).with_status(status), results=(ActResult(act, answer),))


def _rung(seen: Snapshot, course: Plan) -> Decision:
    """The next step, never past the top. A weight above the recorded one is that of this very step, before a crash."""
    split = seen.split or HOME
    if course.strategy is not Strategy.CANARY:
        mirror = strategies.mirroring(seen, course)
        effects = (SetSplit(AWAY),) if course.strategy is Strategy.AB else mirror
        return strategies.iterate(seen, course, *effects)
    if split.canary > seen.status.canary_weight:
        return strategies.weigh(seen, split)
    move = strategies.climb(seen, course)
    top = course.ladder.top
    return strategies.weigh(seen, Split(top)) if move.status.canary_weight > top else move
