"""One pass of an analysis: the opening of a run, then its checks."""

from __future__ import annotations

from flagger.api.analysis import HookType
from flagger.rollout import record
from flagger.rollout.facts import Analyse, Facts, HookCalls, Verdict
from flagger.rollout.gates import gate
from flagger.rollout.plan import Plan
from flagger.rollout.state import Announcement, Decision, Event, Snapshot

Passed = tuple[Announcement, ...]


def examine(seen: Snapshot, facts: Facts, course: Plan) -> HookCalls | Analyse | Decision | Passed:
    """What a tick must know before anything advances.

    Until the canary has got any traffic there is nothing to measure: the pre-rollout hooks decide, once per
    run. From then on every tick is a pass of the whole analysis. Returns what is told when all is well.
    """
    if not _opening(seen, course):
        return _checks(seen, facts)
    if seen.status.run is not None and seen.status.run.pre_rollout:
        return ()
    begun = Event(f"Starting canary analysis for {seen.target_name}")
    opening = (begun, *(Event(warning, warning=True) for warning in course.warnings))
    asked = gate(seen, facts, HookType.PRE_ROLLOUT)
    if isinstance(asked, HookCalls):
        return asked
    if asked.refusal is not None:
        refusal = asked.refusal
        text = f"Halt {seen.name} advancement pre-rollout check {refusal.name} failed {refusal.detail}"
        return _halt(seen, text, *opening, *asked.told)
    return (*opening, *asked.told)


def _opening(seen: Snapshot, course: Plan) -> bool:
    untouched = seen.split is not None and seen.split.canary == 0 and seen.status.iterations == 0
    return untouched and not (course.mirror and seen.split is not None and seen.split.mirrored)


def _checks(seen: Snapshot, facts: Facts) -> Analyse | Decision | Passed:
    if facts.checks is None:
        return Analyse()
    failed = next((check for check in facts.checks if check.verdict is not Verdict.PASS), None)
    return () if failed is None else _halt(seen, failed.message)


def _halt(seen: Snapshot, text: str, *told: Announcement) -> Decision:
    event = Event(text, warning=True)
    return Decision(reason=text, status=record.check_failed(seen), told=(*told, event))
