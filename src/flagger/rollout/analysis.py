"""One pass of an analysis: the opening of a run, then its checks."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from flagger.api.analysis import HookType, OnSilence
from flagger.api.holding import Holding
from flagger.api.quantities import format_duration
from flagger.rollout import record
from flagger.rollout.facts import Analyse, Check, Facts, HookCalls, Verdict
from flagger.rollout.gates import gate
from flagger.rollout.plan import Plan
from flagger.rollout.state import Announcement, Decision, Event, Snapshot

Passed = tuple[Announcement, ...]


def examine(seen: Snapshot, facts: Facts, course: Plan) -> HookCalls | Analyse | Decision | Passed:
    """What a tick must know before anything advances.

    Until the canary has got any traffic there is nothing to measure: the pre-rollout hooks decide, once per
    run. From then on every tick is a pass of the whole analysis. Returns what is told when all is well.
    """
    if not opening(seen, course):
        return _checks(seen, facts)
    if seen.status.run is not None and seen.status.run.pre_rollout:
        return ()
    begun = Event(f"Starting canary analysis for {seen.target_name}")
    first = (begun, *(Event(warning, warning=True) for warning in course.warnings))
    asked = gate(seen, facts, HookType.PRE_ROLLOUT)
    if isinstance(asked, HookCalls):
        return asked
    if asked.refusal is not None:
        refusal = asked.refusal
        text = f"Halt {seen.name} advancement pre-rollout check {refusal.name} failed {refusal.detail}"
        return _halt(seen, text, *first, *asked.told)
    return (*first, *asked.told)


def opening(seen: Snapshot, course: Plan) -> bool:
    """Whether the canary has got no traffic yet, so that there is nothing to measure."""
    untouched = seen.split is not None and seen.split.canary == 0 and seen.status.iterations == 0
    return untouched and not (course.mirror and seen.split is not None and seen.split.mirrored)


def _checks(seen: Snapshot, facts: Facts) -> Analyse | Decision | Passed:
    if facts.checks is None:
        return Analyse()
    holding = seen.canary.holding
    failed = next((check for check in facts.checks if counts(check.verdict, holding)), None)
    if failed is not None:
        return _halt(seen, failed.message).with_status(record.answered(record.check_failed(seen)))
    silent = next((check for check in facts.checks if check.verdict is not Verdict.PASS), None)
    return () if silent is None else _held(seen, silent, holding.limit)


def counts(verdict: Verdict, holding: Holding) -> bool:
    """Whether a verdict is a failed check at once: a bad value always is, silence only where it is asked for."""
    match verdict:
        case Verdict.PASS:
            return False
        case Verdict.FAIL:
            return True
        case Verdict.NO_DATA:
            return holding.no_data is OnSilence.FAIL
        case Verdict.ERROR:
            return holding.provider_error is OnSilence.FAIL
        case _:
            assert_never(verdict)


def _held(seen: Snapshot, silent: Check, limit: timedelta) -> Decision:
    """The traffic stays where it is; people are told when that begins, and when its reason changes."""
    run = seen.status.run
    since = (run.held_since if run else None) or seen.now
    if seen.now - since >= limit:
        return _halt(seen, silent.message)
    text = (
        f"Halt {seen.name} advancement for up to {format_duration(limit)} without a verdict: {silent.message}"
    )
    known = run is not None and run.held == silent.verdict
    told = () if known else (Event(text, warning=True),)
    status = seen.status if known else record.held(seen, silent.verdict)
    return Decision(reason=text, status=status, told=told)


def _halt(seen: Snapshot, text: str, *told: Announcement) -> Decision:
    event = Event(text, warning=True)
    return Decision(reason=text, status=record.check_failed(seen), told=(*told, event))
