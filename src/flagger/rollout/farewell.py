"""The end of a Canary that is deleted with `revertOnDeletion`: everything is handed back, in an order that serves.

The target is brought up first, traffic leaves the primary only when the target is ready, and the primary goes an
interval later, when gateways and proxies have heard of it. A crash repeats the step it was at.
"""

from __future__ import annotations

from datetime import datetime

from flagger.api.phases import Phase
from flagger.rollout import record
from flagger.rollout.effects import (
    Disown,
    Effect,
    HandBackApex,
    HandBackRoutes,
    RemoveFinalizer,
    RevertTarget,
)
from flagger.rollout.facts import Facts
from flagger.rollout.state import Decision, Event, Snapshot, Wait, WorkloadState

HOMEWARD: tuple[Effect, ...] = (HandBackApex(), HandBackRoutes())
"""Sends users back to the target; what is missing is passed over."""

LAST: tuple[Effect, ...] = (Disown(), RemoveFinalizer())
"""Lets go of the rest, and of the Canary."""


def terminating(seen: Snapshot, _: Facts) -> Decision | None:
    """A Canary that is being deleted starts and moves nothing; one that is held hands back what it took over."""
    if not seen.deleting:
        return None
    if not seen.held:
        return Decision(reason="the Canary is being deleted", status=seen.status)
    if not seen.canary.spec.revert_on_deletion or _took_over_nothing(seen):
        return Decision(
            reason="there is nothing to hand back", effects=(RemoveFinalizer(),), status=seen.status
        )
    begun = seen.phase in (Phase.TERMINATING, Phase.TERMINATED)
    begins = Event(f"Terminating canary {seen.name}")
    if seen.target is None:  # or one that can't be made out
        return _gone(seen, RevertTarget(), *HOMEWARD).after(*(() if begun else (begins,)))
    if not begun:
        return Decision(
            reason=begins.text,
            effects=(RevertTarget(),),
            status=record.moved(seen, Phase.TERMINATING),
            told=(begins,),
            waits_for=Wait.TARGET,
        )
    if seen.phase is Phase.TERMINATED:
        return _gone(seen)
    return _handed_back(seen) if _serves(seen, seen.target) else _awaited(seen, seen.target)


def _took_over_nothing(seen: Snapshot) -> bool:
    """It never got as far as a status, and can't have since: a younger rival for a target must not touch it."""
    return seen.phase is Phase.NEW and bool(seen.problems)


def _serves(seen: Snapshot, target: WorkloadState) -> bool:
    """Whether users can be sent to the target; one without pods only where the primary has none either."""
    idle = seen.primary is not None and seen.primary.replicas == 0
    return target.readiness.ready and (idle or target.replicas > 0)


def _handed_back(seen: Snapshot) -> Decision:
    reason = "the target serves again"
    return Decision(reason=reason, effects=HOMEWARD, status=record.moved(seen, Phase.TERMINATED))


def _gone(seen: Snapshot, *first: Effect) -> Decision:
    """Nothing is left to wait for. The status stays: the Canary is gone before it could be written."""
    text = f"Terminated canary {seen.name}"
    return Decision(reason=text, effects=(*first, *LAST), status=seen.status, told=(Event(text),))


def _awaited(seen: Snapshot, target: WorkloadState) -> Decision:
    """The primary serves meanwhile. Past the deadline it is said once that somebody has to look."""
    reason = target.readiness.message or f"{seen.target_name} has no pods"
    told: tuple[Event, ...] = ()
    if target.readiness.terminal or _overdue(seen):
        reason = f"canary not ready during finalizing: {reason}"
        told = () if seen.last_reason == reason else (Event(reason, warning=True),)
    effects = () if target.replicas > 0 else (RevertTarget(),)
    return Decision(reason=reason, effects=effects, status=seen.status, told=told, waits_for=Wait.TARGET)


def _overdue(seen: Snapshot) -> bool:
    asked = datetime.fromisoformat(seen.canary.metadata.deletion_timestamp)
    return asked + seen.canary.progress_deadline < seen.now
