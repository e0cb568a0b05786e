"""How many pods of which ReplicaSet: the arithmetic of rolling updates and of scaling; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flagger.kube.objects import Object, annotations_of, name_of

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"

Sizes = Mapping[str, int]  # name of a ReplicaSet → the replicas that it is to have


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a rollout may go above and below the wanted number of pods."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        """The most pods at any time."""
        return self.replicas + self.surge if self.replicas else 0


def limits_of(deployment: Object) -> Limits:
    """The limits of a Deployment, with percentages resolved: the surge is rounded up, the other down."""
    replicas = wanted(deployment)
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(replicas, surge, min(unavailable, replicas))


def resolve(value: int | str, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


def wanted(deployment: Object) -> int:
    """The replicas that the user asks for."""
    return int(deployment["spec"].get("replicas", 1))


def size(owned: Object) -> int:
    """The replicas that a ReplicaSet is to have."""
    return int(owned["spec"].get("replicas", 1))


def available(owned: Object) -> int:
    """The available replicas of a ReplicaSet."""
    return int(owned.get("status", {}).get("availableReplicas", 0))


def total(sets: Sequence[Object]) -> int:
    """The replicas that all these are to have."""
    return sum(size(one) for one in sets)


def grown(limits: Limits, sets: Sequence[Object], new: Object) -> int:
    """The size of the new set after one step of a rolling update: as large as the surge allows."""
    if size(new) >= limits.replicas:
        return limits.replicas
    room = limits.replicas + limits.surge - total(sets)
    return size(new) + max(0, min(room, limits.replicas - size(new)))


def shrunk(limits: Limits, old: Sequence[Object], new: Object) -> Sizes:
    """The sizes of the old sets (oldest first) after one step: only pods that are not needed go.

    First those that are not available anyway, then others while enough remain available.
    """
    least = limits.replicas - limits.unavailable
    sizes = {name_of(one): size(one) for one in old}
    spare = total([*old, new]) - least - (size(new) - available(new))
    if spare <= 0 or not any(sizes.values()):
        return sizes
    for one in old:
        sick = min(spare, max(0, size(one) - available(one)))
        sizes[name_of(one)] -= sick
        spare -= sick
    excess = available(new) + sum(available(one) for one in old) - least
    for one in old:
        healthy = min(max(0, excess), sizes[name_of(one)])
        sizes[name_of(one)] -= healthy
        excess -= healthy
    return sizes


def proportional(limits: Limits, sets: Sequence[Object], replicas_before: int) -> Sizes:
    """The sizes of several sets when the Deployment is scaled in the middle of a rollout.

    Each gets its share of the difference; what rounding leaves over goes to the largest (the newest of equals when
    growing, the oldest when shrinking). `replicas_before` stands in for sets that do not know their maximum.
    """
    active = [one for one in sets if size(one)]
    to_add = limits.most - total(active)
    by_age = sorted(active, key=lambda one: one["metadata"].get("creationTimestamp", ""), reverse=to_add > 0)
    ordered = sorted(by_age, key=size, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for one in ordered:
        part = share(one, limits, replicas_before) if to_add else 0
        left = to_add - added
        part = max(0, min(part, left)) if to_add > 0 else min(0, max(part, left))
        sizes[name_of(one)] = size(one) + part
        added += part
    if ordered:
        first = name_of(ordered[0])
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def share(one: Object, limits: Limits, replicas_before: int) -> int:
    """How many replicas a set gains or loses to keep its proportion."""
    if limits.replicas == 0:
        return -size(one)
    maximum = int(annotations_of(one).get(MAXIMUM) or replicas_before or limits.most)
    # Halves go away from zero, as in the original arithmetic; Python's round() would send them to even numbers.
    return math.floor(size(one) * limits.most / maximum + 0.5) - size(one)
