"""How much traffic each side has pods for. Pure arithmetic; what follows from it is the governor's business.

The yardstick is the primary's size when the run began: that many pods carried all traffic. Shares are in percent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from msgspec.structs import replace as with_fields

from flagger.api.analysis import Strategy
from flagger.api.phases import IDLE, INITIAL, Phase
from flagger.api.status import CanaryStatus
from flagger.rollout.plan import plan
from flagger.rollout.state import AWAY, HOME, TOTAL, Feature, Snapshot, Split, WorkloadState

ANALYSING = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
RESTING = IDLE | {Phase.WAITING}
RETREAT_WITHIN = timedelta(minutes=1)
"""How long traffic may take to leave a side that must not keep it, when the other one lacks pods."""


def size(seen: Snapshot) -> int:
    """Pods that carry all traffic; 0 when that is not known, or doesn't matter."""
    run = seen.status.run
    return run.size if seen.capacity is not None and run is not None else 0


def divides(seen: Snapshot) -> bool:
    """Whether a split says how many of all requests each side gets, and that matters."""
    by_weight = seen.canary.spec.analysis.on(seen.provider).strategy is not Strategy.AB
    return size(seen) > 0 and by_weight and Feature.WEIGHTS in seen.features


def needed(seen: Snapshot, side: WorkloadState, share: int) -> int:
    """Available pods that a side needs for a share of the traffic.

    No side needs more pods than it may have: its autoscaler's maximum, or the replicas that its owner gave it.
    Where a side counts as ready with fewer (`canaryReadyThreshold`), fewer are enough here.
    """
    return min(_most(seen, side), -(-_ideal(seen, side) * share // TOTAL))


def carried(seen: Snapshot, side: WorkloadState) -> int:
    """The greatest share that a side has pods for."""
    if side.available >= _most(seen, side):
        return TOTAL
    return min(TOTAL, TOTAL * side.available // _ideal(seen, side))


def bearable(seen: Snapshot, side: WorkloadState, share: int) -> int:
    """The share that a side may get which grows with its load alone, given that it has `share` now.

    An autoscaler that sees no more load than it aims at adds no pods, so the side gets a quarter more than its
    pods are for, and in any case one percent more unless it has too much already.
    """
    fair = carried(seen, side)
    if fair == TOTAL:
        return TOTAL
    more = min(TOTAL, TOTAL * side.available * 5 // (_ideal(seen, side) * 4))
    return max(more, min(TOTAL, share + 1)) if share <= fair else more


def grown(seen: Snapshot, status: CanaryStatus) -> CanaryStatus:
    """The status with a larger yardstick where the load has grown since the run began.

    A primary that its autoscaler makes larger than before the run, with less than all traffic, tells what all
    of it would take.
    """
    primary, split, run = seen.primary, seen.split or HOME, status.run
    if seen.phase not in ANALYSING or status.phase not in ANALYSING or not divides(seen) or run is None:
        return status
    if primary is None or primary.autoscaling is None or primary.replicas <= run.size or split == AWAY:
        return status
    whole = min(primary.autoscaling.most, -(-primary.replicas * TOTAL // split.primary))
    return with_fields(status, run=with_fields(run, size=whole))


def primary_floor(seen: Snapshot) -> int:
    """The least size that the primary's autoscaler may give it now; 0 leaves it to itself."""
    until = held_until(seen.status, seen)
    if seen.phase in INITIAL or seen.deleting or until is None:
        return 0
    return size(seen) if seen.phase not in RESTING or _stranded(seen.status) or seen.now < until else 0


def held_until(status: CanaryStatus, seen: Snapshot) -> datetime | None:
    """When the primary's autoscaler is left to itself again, should nothing start before; None if it is now."""
    limits, since = seen.capacity, status.last_transition_time
    if limits is None or since is None or status.run is None or not status.run.size:
        return None
    return since + limits.cool_down


def canary_floor(seen: Snapshot) -> int:
    """The least size that the target's autoscaler may give it now; 0 leaves it to itself.

    It runs one step ahead of the traffic, so that an ordinary run doesn't wait.
    """
    idle = seen.phase in RESTING | INITIAL and not _stranded(seen.status)
    if idle or seen.target is None or not divides(seen):
        return 0
    return needed(seen, seen.target, _coming(seen))


def next_floor(seen: Snapshot, status: CanaryStatus, split: Split) -> int:
    """`canary_floor` once the traffic is divided so, under the status that is about to be written."""
    return canary_floor(replace(seen, status=status, split=split))


def _ideal(seen: Snapshot, side: WorkloadState) -> int:
    """Pods that carry everything, as many as there were before the run."""
    return size(seen) * _threshold(seen, side) // TOTAL


def _most(seen: Snapshot, side: WorkloadState) -> int:
    """Pods with which a side has to carry everything, as it doesn't get more."""
    most = side.replicas if side.autoscaling is None else side.autoscaling.most
    return min(size(seen), most) * _threshold(seen, side) // TOTAL


def _threshold(seen: Snapshot, side: WorkloadState) -> int:
    analysis = seen.canary.spec.analysis
    return analysis.primary_ready_percent if side is seen.primary else analysis.canary_ready_percent


def _coming(seen: Snapshot) -> int:
    """The canary's share after the next step, or the present one if there is none."""
    status, split = seen.status, seen.split or HOME
    leaving = status.run is not None and bool(status.run.retreat)
    if leaving or seen.phase not in ANALYSING:
        return AWAY.canary if leaving and seen.phase is Phase.PROMOTING else split.canary
    course = plan(seen)
    if course.strategy is Strategy.BLUE_GREEN:
        return AWAY.canary if status.iterations >= course.iterations - 1 else split.canary
    return split.canary if split.canary >= course.ladder.top else course.ladder.next(split.canary)


def _stranded(status: CanaryStatus) -> bool:
    return status.phase is Phase.FAILED and status.canary_weight == AWAY.canary
