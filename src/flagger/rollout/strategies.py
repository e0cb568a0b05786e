"""How a run climbs: weighted, A/B, blue/green; and how the traffic comes home after promotion.

The order within a tick: examine what is live, then ask the gate of the next move, then move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from flagger.api.analysis import HookType, Strategy
from flagger.api.phases import Phase
from flagger.rollout import endings, record
from flagger.rollout.analysis import Passed, examine
from flagger.rollout.effects import PromotePrimary, SetSplit, UpdatePrimaryScaler
from flagger.rollout.facts import Facts, HookCalls, Need
from flagger.rollout.gates import Gate, gate
from flagger.rollout.guards import ANALYSING
from flagger.rollout.plan import Plan, plan
from flagger.rollout.state import AWAY, HOME, Decision, Event, Feature, Snapshot, Split, Wait
from flagger.rollout.steps import step_home

Course = Callable[[Snapshot, Facts, Plan], Need | Decision]


def advance(seen: Snapshot, facts: Facts) -> Need | Decision | None:
    """One move of the run's strategy, provided that the analysis passes."""
    if seen.phase not in ANALYSING:
        return None
    verdict = _move(seen, facts, plan(seen))
    return replace(verdict, examined=True) if isinstance(verdict, Decision) else verdict


def _move(seen: Snapshot, facts: Facts, course: Plan) -> Need | Decision:
    passed = examine(seen, facts, course)
    if not isinstance(passed, tuple):
        return passed
    move = COURSES[course.strategy](seen, facts, course)
    if not isinstance(move, Decision):
        return move
    return remembering(seen, move, passed)


def remembering(seen: Snapshot, move: Decision, passed: Passed) -> Decision:
    """The move, told after the analysis that allowed it; the opening of the run needn't be repeated."""
    status = move.status
    if status.run is None or not status.run.pre_rollout:
        status = record.noted(status, pre_rollout=True)
    return move.after(*passed).with_status(status)


def weighted(seen: Snapshot, facts: Facts, course: Plan) -> Need | Decision:
    """More weight each tick up to the top of the ladder, then promotion."""
    split = seen.split or HOME
    told: Passed = ()
    if not split.mirrored and seen.phase is not Phase.WAITING_PROMOTION:
        asked = gate(seen, facts, HookType.CONFIRM_TRAFFIC_INCREASE)
        if isinstance(asked, HookCalls):
            return asked
        if asked.refusal is not None:
            return _hold_traffic(seen, asked)
        told = asked.told
    if split.canary >= course.ladder.top:
        promotion = _promotion(seen, facts)
        return promotion.after(*told) if isinstance(promotion, Decision) else promotion
    if course.mirror and split.canary == 0 and not split.mirrored:
        target = Split(0, mirrored=True)
    else:
        target = Split(course.ladder.next(split.canary))
    text = f"Advance {seen.name} canary weight {target.canary}"
    status = record.weighed(seen, target.canary)
    return Decision(reason=text, effects=(SetSplit(target),), status=status, told=(*told, Event(text)))


def ab_testing(seen: Snapshot, facts: Facts, course: Plan) -> Need | Decision:
    """All matching requests go to the canary, iteration after iteration."""
    if seen.status.iterations < course.iterations:
        return _iterate(seen, course, SetSplit(AWAY))
    return _promotion(seen, facts)


def blue_green(seen: Snapshot, facts: Facts, course: Plan) -> Need | Decision:
    """Iterations without user traffic, or with a copy of it; then all of it at once; then promotion."""
    done, split = seen.status.iterations, seen.split or HOME
    if done < course.iterations:
        mirror = course.mirror and not split.mirrored
        return _iterate(seen, course, *((SetSplit(Split(0, mirrored=True)),) if mirror else ()))
    asked = _approved(seen, facts)
    if not isinstance(asked, Gate):
        return asked
    switched = split == AWAY if course.routes else done > course.iterations
    return _promote(seen, asked) if switched else _switch(seen, course, asked)


COURSES: Mapping[Strategy, Course] = {
    Strategy.CANARY: weighted,
    Strategy.AB: ab_testing,
    Strategy.BLUE_GREEN: blue_green,
}


def bring_home(seen: Snapshot, _: Facts) -> Decision | None:
    """The primary runs the new revision: its traffic comes back, at once or in steps.

    At once, too, when the canary can't be trusted with it any longer.
    """
    if seen.phase is not Phase.PROMOTING:
        return None
    scaler, split = UpdatePrimaryScaler(), seen.split or HOME
    arrived = record.moved(seen, Phase.FINALISING, record.unloaded(seen.status))
    if Feature.WEIGHTS not in seen.features or split == HOME:
        return Decision(reason="the primary has all traffic", effects=(scaler,), status=arrived)
    step = seen.canary.spec.analysis.step_weight_promotion if _trusted(seen) else 0
    target = Split(step_home(split.canary, step))
    text = (
        f"Advance {seen.name} primary weight {target.primary}" if step else "Routing all traffic to primary"
    )
    status = arrived if target == HOME else record.weighed(seen, target.canary)
    return Decision(reason=text, effects=(scaler, SetSplit(target)), status=status, told=(Event(text),))


def finalise(seen: Snapshot, _: Facts) -> Decision | None:
    """The last tick of a promoted run."""
    return endings.completed(seen) if seen.phase is Phase.FINALISING else None


def _trusted(seen: Snapshot) -> bool:
    target = seen.target
    return target is not None and target.readiness.ready and target.revision == seen.status.last_applied_spec


def _iterate(seen: Snapshot, course: Plan, *effects: SetSplit) -> Decision:
    count = seen.status.iterations + 1
    text = f"Advance {seen.name} canary iteration {count}/{course.iterations}"
    return Decision(reason=text, effects=effects, status=record.iterated(seen, count), told=(Event(text),))


def _switch(seen: Snapshot, course: Plan, asked: Gate) -> Decision:
    status = record.noted(record.iterated(seen, course.iterations + 1), approved=True)
    if not course.routes:
        return Decision(reason="all iterations passed", status=status, told=asked.told)
    text = (
        "Stop traffic mirroring and route all traffic to canary"
        if course.mirror
        else "Routing all traffic to canary"
    )
    return Decision(reason=text, effects=(SetSplit(AWAY),), status=status, told=(*asked.told, Event(text)))


def _promotion(seen: Snapshot, facts: Facts) -> Need | Decision:
    asked = _approved(seen, facts)
    return _promote(seen, asked) if isinstance(asked, Gate) else asked


def _approved(seen: Snapshot, facts: Facts) -> HookCalls | Decision | Gate:
    """The open gate before promotion, or the wait for it; an approval is asked for once per run."""
    if seen.status.run is not None and seen.status.run.approved:
        return Gate(HookType.CONFIRM_PROMOTION)
    asked = gate(seen, facts, HookType.CONFIRM_PROMOTION)
    if isinstance(asked, HookCalls) or asked.refusal is None:
        return asked
    reason = f"waiting for promotion approval {asked.refusal.name}"
    if seen.phase is Phase.WAITING_PROMOTION:
        return Decision(reason=reason, status=seen.status, told=asked.told)
    status = record.moved(seen, Phase.WAITING_PROMOTION)
    return Decision(reason=reason, status=status, told=(*asked.told, *asked.waiting(seen)))


def _hold_traffic(seen: Snapshot, asked: Gate) -> Decision:
    """The weight stays; people are told when the gate is first found closed at this weight."""
    name = asked.refusal.name if asked.refusal else ""
    closure = f"{name}@{seen.status.canary_weight}"
    known = seen.status.run is not None and seen.status.run.waiting == closure
    told = asked.told if known else (*asked.told, *asked.waiting(seen))
    status = seen.status if known else record.noted(seen.status, waiting=closure)
    return Decision(reason=f"waiting for traffic increase approval {name}", status=status, told=told)


def _promote(seen: Snapshot, asked: Gate) -> Decision:
    """The target's revision is copied to the primary; the traffic stays until that has rolled out."""
    copying = endings.copying(seen)
    return Decision(
        reason=copying.text,
        effects=(PromotePrimary(seen.status.last_applied_spec, seen.status.tracked_configs),),
        status=record.moved(seen, Phase.PROMOTING),
        told=(*asked.told, copying),
        waits_for=Wait.PRIMARY,
    )
