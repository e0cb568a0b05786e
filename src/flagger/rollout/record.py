"""The transitions of a Canary's status, each as a function from the old status to the new.

A transition sets `last_transition_time`; nothing else of the core does.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from flagger.api.phases import Failure, Phase, promoted_message, with_phase
from flagger.api.status import CanaryStatus, RunRecord
from flagger.rollout.state import Snapshot


def moved(
    seen: Snapshot,
    phase: Phase,
    status: CanaryStatus | None = None,
    failure: Failure = Failure.SCALED_TO_ZERO,
) -> CanaryStatus:
    """The status in another phase; the condition follows."""
    before = seen.status if status is None else status
    message = promoted_message(phase, seen.canary.spec.target_ref.kind, failure)
    conditions = with_phase(before.conditions, phase, message, seen.now)
    return touched(seen, replace(before, phase=phase, conditions=conditions))


def touched(seen: Snapshot, status: CanaryStatus) -> CanaryStatus:
    """The status with the time of this tick."""
    return replace(status, last_transition_time=seen.now)


def initialized(seen: Snapshot, revision: str) -> CanaryStatus:
    """The primary serves `revision`; nothing has been released yet."""
    status = _reset(seen, revision)
    return moved(seen, Phase.INITIALIZED, replace(status, last_promoted_spec=revision))


def run_started(seen: Snapshot, revision: str) -> CanaryStatus:
    """A run of `revision` begins (again): counters at zero, a new run number."""
    run = RunRecord(number=next_run(seen.status), revision=revision, started=seen.now)
    return moved(seen, Phase.PROGRESSING, replace(_reset(seen, revision), run=run))


def next_run(status: CanaryStatus) -> int:
    """The number of the run that would start now; the first is 1."""
    return status.run.number + 1 if status.run else 1


def run_failed(seen: Snapshot, *, weight: int = 0, failure: Failure = Failure.SCALED_TO_ZERO) -> CanaryStatus:
    """The run is over and was not promoted; `weight` is what the canary still serves.

    The recorded revision stays that of the run, so that one pushed meanwhile is not taken for handled.
    """
    status = replace(seen.status, canary_weight=weight, iterations=0, failed_checks=0)
    return moved(seen, Phase.FAILED, status, failure)


def candidate_refused(seen: Snapshot, revision: str) -> CanaryStatus:
    """A revision that never started is remembered as refused; it does not start by itself."""
    return moved(seen, Phase.FAILED, _reset(seen, revision))


def promoted(seen: Snapshot, revision: str) -> CanaryStatus:
    """`revision` is what the primary runs; failed checks are kept to be read."""
    status = replace(
        seen.status, canary_weight=0, iterations=0, last_applied_spec=revision, last_promoted_spec=revision
    )
    return moved(seen, Phase.SUCCEEDED, status)


def waiting(seen: Snapshot) -> CanaryStatus:
    """A change was seen and waits for approval; nothing about it is recorded yet."""
    return moved(seen, Phase.WAITING)


def unloaded(status: CanaryStatus) -> CanaryStatus:
    """The canary has no traffic any more; its counters are done with."""
    return replace(status, canary_weight=0, iterations=0)


def weighed(seen: Snapshot, weight: int) -> CanaryStatus:
    """The canary's weight in percent."""
    return touched(seen, replace(seen.status, canary_weight=weight))


def iterated(seen: Snapshot, iterations: int) -> CanaryStatus:
    """One more iteration is counted."""
    return touched(seen, replace(seen.status, iterations=iterations))


def check_failed(seen: Snapshot) -> CanaryStatus:
    """One more failed check; several failing at once count as one."""
    return touched(seen, replace(seen.status, failed_checks=seen.status.failed_checks + 1))


def noted(status: CanaryStatus, **changes: Any) -> CanaryStatus:
    """Something about the run is remembered: what has passed, what it waits for."""
    return replace(status, run=replace(status.run or RunRecord(), **changes))


def _reset(seen: Snapshot, revision: str) -> CanaryStatus:
    return replace(
        seen.status,
        canary_weight=0,
        iterations=0,
        failed_checks=0,
        last_applied_spec=revision,
        tracked_configs=None if seen.configs is None else dict(seen.configs),
    )


def came_home(seen: Snapshot) -> CanaryStatus:
    """After a failed run the primary has the traffic again; what it runs is what counts as promoted."""
    revision = (seen.primary.revision if seen.primary else "") or seen.status.last_promoted_spec
    return touched(seen, replace(seen.status, canary_weight=0, last_promoted_spec=revision))


def settled(seen: Snapshot, revision: str) -> CanaryStatus:
    """After a failed run the target went back to the promoted revision: remembered, time kept.

    Without it, pushing the failed revision once more would look like no change.
    """
    configs = None if seen.configs is None else dict(seen.configs)
    return replace(seen.status, last_applied_spec=revision, tracked_configs=configs)
