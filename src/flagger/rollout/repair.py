"""What every tick puts in order before it decides, so that drift and lost objects heal."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from flagger.api.phases import IDLE, INITIAL, Phase
from flagger.rollout.state import AWAY, HOME, Snapshot, Split


class Repair(StrEnum):
    """One thing to create if absent, or to bring back into shape; writes nothing when it is in order."""

    BACKENDS = "canary and primary Services"
    EARLY_ROUTE = "routing objects that pods need before they start"
    PRIMARY = "primary workload"
    SCALER = "primary autoscaler"
    APEX = "apex Service"
    ROUTE = "routing objects"


def repairs(seen: Snapshot) -> Iterator[Repair]:
    """The repairs of this tick, in order.

    The apex Service and the routes move users to the primary, so while a Canary initializes they wait for
    the primary to be ready. A lost primary is made again only from the revision that was promoted.
    """
    if seen.canary.spec.suspend or seen.problems or seen.trouble or seen.deleting:
        return
    yield Repair.BACKENDS
    yield Repair.EARLY_ROUTE
    initializing = seen.phase in INITIAL
    if initializing or seen.primary is not None or _at_promoted_revision(seen):
        yield Repair.PRIMARY
    waits = initializing and not seen.canary.skip_analysis
    if waits and not (seen.primary is not None and seen.primary.readiness.ready):
        return
    yield Repair.SCALER
    yield Repair.APEX
    yield Repair.ROUTE


def rightful_split(seen: Snapshot) -> Split:
    """The split that a correction of the routes must leave: the live one while something is being released.

    At other times all traffic is the primary's, whatever somebody wrote into the route; after a failed run
    that ended on the canary it stays there until it is brought home. A split that nobody has taken over yet
    is left as well: bringing it home and moving it on again would go round in circles.
    """
    stranded = seen.phase is Phase.FAILED and seen.status.canary_weight == AWAY.canary
    resting = seen.phase in INITIAL | IDLE | {Phase.WAITING} and not stranded
    live = seen.split if seen.split is not None else seen.written
    return HOME if resting or live is None else live


def _at_promoted_revision(seen: Snapshot) -> bool:
    return seen.target is not None and seen.target.revision == seen.status.last_promoted_spec
