"""Idle phases and the start of a run."""

from __future__ import annotations

from flagger.api.analysis import HookType
from flagger.api.phases import IDLE, Phase
from flagger.rollout import record
from flagger.rollout.effects import ResumeScaler, ScaleUp, SetSplit
from flagger.rollout.facts import Facts, HookCalls
from flagger.rollout.gates import gate
from flagger.rollout.revision import configs_changed, target_changed
from flagger.rollout.state import HOME, Alert, Decision, Event, Severity, Snapshot, Wait


def idle(seen: Snapshot, _: Facts) -> Decision | None:
    """Nothing to release: nothing to do."""
    if seen.phase not in IDLE or seen.target is None or _changed(seen):
        return None
    revision = seen.target.revision
    if revision != seen.status.last_applied_spec:
        status = record.settled(seen, revision)
        return Decision(reason="the target is back at the promoted revision", status=status)
    return Decision(reason="nothing to release", status=seen.status)


def withdrawn(seen: Snapshot, _: Facts) -> Decision | None:
    """A candidate that is taken back while it waits for approval is not released."""
    if seen.phase is not Phase.WAITING or seen.target is None or _changed(seen):
        return None
    revision = seen.target.revision
    if revision == seen.status.last_promoted_spec:
        return Decision(reason="the candidate was withdrawn", status=record.promoted(seen, revision))
    return Decision(reason="the candidate was withdrawn", status=record.candidate_refused(seen, revision))


def start(seen: Snapshot, facts: Facts) -> HookCalls | Decision | None:
    """Ask for approval, then bring the target up; no traffic moves in this tick."""
    if seen.phase not in IDLE | {Phase.WAITING} or seen.target is None:
        return None
    asked = gate(seen, facts, HookType.CONFIRM_ROLLOUT, seen.phase)
    if isinstance(asked, HookCalls):
        return asked
    if asked.refusal is not None:
        return _await_approval(seen, f"waiting for approval {asked.refusal.name}", asked.waiting(seen))
    text = f"New revision detected! Scaling up {seen.target_name}"
    home = () if seen.split == HOME else (SetSplit(HOME),)
    return Decision(
        reason=text,
        effects=(*home, ResumeScaler(), ScaleUp()),
        status=record.run_started(seen, seen.target.revision),
        told=(
            *asked.told,
            Event(text, phase=Phase.PROGRESSING),
            Alert("New revision detected, progressing canary analysis", Severity.INFO, facts=True),
        ),
        waits_for=Wait.TARGET,
    )


def _await_approval(seen: Snapshot, reason: str, waiting: tuple[Event | Alert, ...]) -> Decision:
    if seen.phase is Phase.WAITING:
        return Decision(reason=reason, status=seen.status)
    return Decision(reason=reason, status=record.waiting(seen), told=waiting)


def _changed(seen: Snapshot) -> bool:
    if seen.target is None:
        return False
    return target_changed(seen.status, seen.target.revision) or configs_changed(seen.status, seen.configs)
