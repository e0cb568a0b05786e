"""How a run ends: rolled back, failed in promotion, promoted, skipped, or given up."""

from __future__ import annotations

from flagger.api.analysis import HookType
from flagger.api.phases import Failure, Phase
from flagger.rollout import record
from flagger.rollout.effects import (
    PauseScaler,
    PromotePrimary,
    RestorePrimary,
    ScaleDown,
    SetSplit,
    UpdatePrimaryScaler,
)
from flagger.rollout.facts import HookCalls
from flagger.rollout.state import (
    AWAY,
    HOME,
    Alert,
    Announcement,
    Decision,
    Event,
    Feature,
    Outcome,
    Severity,
    Snapshot,
    Split,
    Wait,
)

PARK = (PauseScaler(), ScaleDown())
"""Takes the target out of service and keeps it there."""


def refuge(seen: Snapshot) -> Split:
    """Where all traffic goes when a run is broken off: the primary, unless only the canary can serve."""
    primary_gone = seen.primary is None or seen.primary.available == 0
    canary_serves = seen.target is not None and seen.target.available > 0
    return AWAY if primary_gone and canary_serves and Feature.WEIGHTS in seen.features else HOME


def undo(seen: Snapshot) -> tuple[RestorePrimary, ...]:
    """Takes back a promotion that a crash left unrecorded; nothing where the primary runs what it should."""
    runs = seen.primary.revision if seen.primary else ""
    return (RestorePrimary(),) if runs and runs != seen.status.last_promoted_spec else ()


def rollback(seen: Snapshot, reason: str, *told: Announcement) -> Decision:
    """Traffic back to the primary, target to zero, phase Failed."""
    split = refuge(seen)
    return Decision(
        reason=reason,
        effects=(SetSplit(split), *undo(seen), *(() if split == AWAY else PARK)),
        status=record.run_failed(seen, weight=split.canary),
        told=(*told, Event(f"Canary failed! Scaling down {seen.name}", warning=True, phase=Phase.FAILED)),
        last_calls=HookCalls(HookType.POST_ROLLOUT, Phase.FAILED),
        outcome=Outcome.FAILED,
    )


def failed_promotion(seen: Snapshot, message: str) -> Decision:
    """The primary can't run the new revision: the canary takes the traffic, the primary its old template."""
    text = f"Promotion of {seen.target_name} failed, primary not ready: {message}"
    return Decision(
        reason=text,
        effects=(SetSplit(AWAY), RestorePrimary()),
        status=record.run_failed(seen, weight=AWAY.canary, failure=Failure.PROMOTION),
        told=(
            Event(message, warning=True),
            Event(text, warning=True),
            Alert(f"Promotion failed, primary not ready: {message}", Severity.ERROR),
        ),
        last_calls=HookCalls(HookType.POST_ROLLOUT, Phase.FAILED),
        outcome=Outcome.FAILED,
        waits_for=Wait.PRIMARY,
    )


def homecoming(seen: Snapshot) -> Decision:
    """After a failed run that left the traffic on the canary, the primary serves again."""
    status = record.came_home(seen)
    text = "Routing all traffic to primary"
    return Decision(reason=text, effects=(SetSplit(HOME), *PARK), status=status, told=(Event(text),))


def cancelled(seen: Snapshot, revision: str) -> Decision:
    """The target went back to what the primary runs, so there is nothing left to release."""
    text = f"Rolling back {seen.name} target was reverted to the promoted revision"
    if refuge(seen) == AWAY:
        reason = "the canary serves until the primary has pods again"
        return Decision(reason=reason, effects=(SetSplit(AWAY),), status=seen.status, waits_for=Wait.PRIMARY)
    return Decision(
        reason=text,
        effects=(SetSplit(HOME), *undo(seen), *PARK),
        status=record.promoted(seen, revision),
        told=(Event(text, warning=True, phase=Phase.SUCCEEDED),),
    )


def completed(seen: Snapshot) -> Decision:
    """The primary runs the new revision and has the traffic: target to zero, phase Succeeded."""
    text = f"Promotion completed! Scaling down {seen.target_name}"
    return Decision(
        reason=text,
        effects=(*(() if seen.split in (HOME, None) else (SetSplit(HOME),)), *PARK),
        status=record.promoted(seen, seen.status.last_applied_spec),
        last_calls=HookCalls(HookType.POST_ROLLOUT, Phase.SUCCEEDED),
        told_last=(
            Event(text, phase=Phase.SUCCEEDED),
            Alert("Canary analysis completed successfully, promotion finished", Severity.INFO),
        ),
        outcome=Outcome.PROMOTED,
    )


def skipped(seen: Snapshot) -> Decision:
    """The primary gets the new revision without an analysis, in one tick."""
    text = f"Promotion completed! Canary analysis was skipped for {seen.target_name}"
    promote = PromotePrimary(seen.status.last_applied_spec, seen.status.tracked_configs)
    if refuge(seen) == AWAY:  # the primary can't take the traffic yet: promote as usual, and wait for it
        effects = (SetSplit(AWAY), promote)
        status = record.moved(seen, Phase.PROMOTING)
        return Decision(reason=copying(seen).text, effects=effects, status=status, told=(copying(seen),))
    return Decision(
        reason=text,
        effects=(SetSplit(HOME), promote, UpdatePrimaryScaler(), *PARK),
        status=record.promoted(seen, seen.status.last_applied_spec),
        told=(copying(seen),),
        last_calls=HookCalls(HookType.POST_ROLLOUT, Phase.SUCCEEDED),
        told_last=(
            Event(text, phase=Phase.SUCCEEDED),
            Alert("Canary analysis was skipped, promotion finished", Severity.INFO),
        ),
        outcome=Outcome.SKIPPED,
    )


def copying(seen: Snapshot) -> Event:
    """The event of a promotion."""
    return Event(f"Copying {seen.target_name} template spec to {seen.primary_name}")
