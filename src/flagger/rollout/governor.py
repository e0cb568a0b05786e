"""Traffic moves only as fast as the side that gets it has pods for it. The arithmetic is in `capacity`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from flagger.api.phases import Phase
from flagger.api.status import CanaryStatus
from flagger.rollout import capacity, record
from flagger.rollout.capacity import RETREAT_WITHIN
from flagger.rollout.effects import SetSplit
from flagger.rollout.state import (
    AWAY,
    HOME,
    TOTAL,
    Announcement,
    Decision,
    Event,
    Snapshot,
    Split,
    Wait,
    WorkloadState,
)


def shortage(seen: Snapshot, target: Split) -> str:
    """Why the canary can't have more traffic, its pods being too few for it; empty if it can."""
    canary, live = seen.target, seen.split or HOME
    if canary is None or target.canary <= live.canary or not capacity.divides(seen):
        return ""
    need = capacity.needed(seen, canary, target.canary)
    if canary.available >= need:
        return ""
    have = _means(seen, canary)
    return f"waiting for capacity: {have}, the next step needs {need} for {target.canary}%"


def hold(seen: Snapshot, lack: str, target: Split) -> Decision:
    """The split stays for want of pods; that is told once.

    Where the canary's autoscaler can't be given a minimum, the traffic rises by what makes it add pods.
    """
    canary, live = seen.target, seen.split or HOME
    if canary is not None and canary.autoscaling is not None and canary.autoscaling.contested:
        part = min(target.canary, capacity.bearable(seen, canary, live.canary))
        if part > live.canary:
            return _shift(seen, Split(part), record.noted(seen.status, waiting=""))
    text, status = f"Halt {seen.name} advancement {lack}", _waiting(seen, target)
    told = () if status == seen.status else (Event(text, warning=True),)
    return Decision(reason=text, status=status, told=told)


def patient(seen: Snapshot, target: Split) -> bool:
    """Whether there is still time to wait for the pods of a split."""
    limits = seen.capacity
    return limits is not None and _in_time(seen, _waiting(seen, target), limits.max_wait)


def homeward(seen: Snapshot, target: Split) -> Split:
    """As much of a promoted run's way home as the primary has pods for.

    When it took too long, all of it: the primary has shown that it doesn't get more pods.
    """
    primary, live = seen.primary, seen.split or HOME
    if primary is None or not capacity.divides(seen) or not patient(seen, target):
        return target
    return Split(min(live.canary, max(target.canary, TOTAL - capacity.carried(seen, primary))))


def slowed(seen: Snapshot, part: Split, target: Split) -> Decision:
    """`part` of the way home, and the wait for the primary's pods with the rest."""
    waiting = _waiting(seen, target)
    if part == (seen.split or HOME):
        text = f"Halt {seen.name} advancement waiting for capacity: {_means(seen, seen.primary)}"
        told = () if waiting == seen.status else (Event(text, warning=True),)
        return Decision(reason=text, status=waiting, told=told, waits_for=Wait.CAPACITY)
    return _shift(seen, part, waiting)


def retreat(seen: Snapshot) -> Split:
    """How far home the traffic of a broken-off run goes now.

    In proportion to the primary's pods when they are too few for everybody, as an overloaded primary fails all
    users while the canary fails some. A canary that doesn't serve what was released is left at once, and every
    other one within a minute.
    """
    canary, primary, live = seen.target, seen.primary, seen.split or HOME
    if canary is None or primary is None or not capacity.divides(seen) or _overdue(seen):
        return HOME
    serves = canary.readiness.ready and canary.revision == seen.status.last_applied_spec
    if not serves or canary.available == 0:
        return HOME
    return Split(min(live.canary, TOTAL - capacity.carried(seen, primary)))


def evacuation(seen: Snapshot) -> Split:
    """How much traffic the canary takes now from a primary that can't be promoted.

    What it has pods for, as long as the primary has some too, and within a minute everything.
    """
    canary, primary, live = seen.target, seen.primary, seen.split or HOME
    if canary is None or primary is None or not capacity.divides(seen) or _overdue(seen):
        return AWAY
    if primary.available == 0:
        return AWAY
    return Split(max(live.canary, capacity.carried(seen, canary)))


def takes_all(seen: Snapshot) -> bool:
    """Whether the primary has pods for all traffic, or has been waited for long enough."""
    since, limits = seen.status.last_transition_time, seen.capacity
    if seen.primary is None or limits is None or since is None or not capacity.divides(seen):
        return True
    return capacity.carried(seen, seen.primary) == TOTAL or seen.now >= since + limits.max_wait


def untold(seen: Snapshot, *told: Announcement) -> tuple[Announcement, ...]:
    """What has not been told yet of why the traffic leaves a side."""
    run = seen.status.run
    return () if run is not None and run.retreat else told


def withdraw(seen: Snapshot, split: Split, reason: str, *told: Announcement) -> Decision:
    """Part of the way to safety; why is remembered, and told once."""
    run, live = seen.status.run, seen.split or HOME
    if run is None or not run.retreat:
        status = record.noted(seen.status, retreat=reason, short_since=seen.now)
    else:
        status, told = seen.status, ()
    if split != live:
        return _shift(seen, split, status).after(*told)
    side = seen.target if seen.phase is Phase.PROMOTING else seen.primary
    text = f"{reason}, waiting for capacity: {_means(seen, side)}"
    return Decision(reason=text, status=status, told=told, waits_for=Wait.CAPACITY)


def _shift(seen: Snapshot, split: Split, status: CanaryStatus) -> Decision:
    live = seen.split or HOME
    gains = (
        f"canary weight {split.canary}" if split.canary > live.canary else f"primary weight {split.primary}"
    )
    text = f"Advance {seen.name} {gains}"
    return Decision(
        reason=text,
        effects=(SetSplit(split),),
        status=record.weighed(replace(seen, status=status), split.canary),
        told=(Event(text),),
        waits_for=None if split.canary > live.canary else Wait.CAPACITY,
    )


def _overdue(seen: Snapshot) -> bool:
    """Whether traffic that has to leave a side has taken too long."""
    run = seen.status.run
    return run is not None and bool(run.retreat) and not _in_time(seen, seen.status, RETREAT_WITHIN)


def _means(seen: Snapshot, side: WorkloadState | None) -> str:
    """What a side can carry, in words."""
    if side is None:
        return "there is no primary"
    name = "primary" if side is seen.primary else "canary"
    pods = f"{side.available} {name} pod{'' if side.available == 1 else 's'}"
    return f"{pods} can carry {capacity.carried(seen, side)}%"


def _waiting(seen: Snapshot, target: Split) -> CanaryStatus:
    """The status with when the wait for a split's pods began."""
    run, key = seen.status.run, f"capacity@{target.canary}"
    known = run is not None and run.waiting == key and run.short_since is not None
    return seen.status if known else record.noted(seen.status, waiting=key, short_since=seen.now)


def _in_time(seen: Snapshot, status: CanaryStatus, within: timedelta) -> bool:
    begun = status.run.short_since if status.run else None
    return begun is None or seen.now < begun + within
