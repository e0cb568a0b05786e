"""The arithmetic of rolling updates and of scaling them."""

import pytest

from flagger.kube.objects import Object
from flagger.sandbox.controllers.sizes import MAXIMUM, Limits, grown, limits_of, proportional, shrunk


def a_deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Object:
    """A Deployment with a rolling update."""
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}


def a_set(name: str, replicas: int, *, available: int = 0, maximum: int = 0, created: str = "") -> Object:
    """A ReplicaSet."""
    annotations = {MAXIMUM: str(maximum)} if maximum else {}
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {"replicas": replicas}, "status": {"availableReplicas": available}}


# replicas, maxSurge, maxUnavailable → where a rollout rests whose new pods never get ready: old, new, most pods
RESTING = [
    (1, "25%", "25%", 1, 1, 2),
    (2, "25%", "25%", 2, 1, 3),
    (3, "25%", "25%", 3, 1, 4),
    (4, "25%", "25%", 3, 2, 5),
    (5, "25%", "25%", 4, 3, 7),
    (10, "25%", "25%", 8, 5, 13),
    (4, 1, 0, 4, 1, 5),
    (4, 0, 1, 3, 1, 4),
    (4, "50%", "50%", 2, 4, 6),
    (4, "100%", "0%", 4, 4, 8),
    (4, 0, "100%", 0, 4, 4),
    (1, 0, "25%", 0, 1, 1),
    (3, "1%", "1%", 3, 1, 4),
    (7, "30%", "30%", 5, 5, 10),
]


@pytest.mark.parametrize(("replicas", "surge", "unavailable", "old", "new", "most"), RESTING)
def test_rests_within_the_limits(
    replicas: int, surge: int | str, unavailable: int | str, old: int, new: int, most: int
) -> None:
    """Step by step a rollout of pods that never get ready comes to rest where real clusters do."""
    limits = limits_of(a_deployment(replicas, surge, unavailable))
    sizes = (replicas, 0)
    for _ in range(20):
        old_set = a_set("old", sizes[0], available=sizes[0])
        new_set = a_set("new", sizes[1])
        bigger = grown(limits, [old_set, new_set], new_set)
        smaller = shrunk(limits, [old_set], new_set)["old"] if bigger == sizes[1] else sizes[0]
        sizes = (smaller, bigger)

    assert sizes == (old, new)
    assert limits.most == most


def test_takes_pods_that_are_not_available_first() -> None:
    """Sick pods of old sets go before healthy ones, from the oldest set on."""
    limits = Limits(replicas=4, surge=0, unavailable=1)
    old = [a_set("a", 2, available=2), a_set("b", 2, available=1)]

    assert shrunk(limits, old, a_set("new", 0)) == {"a": 2, "b": 1}


def test_shrinks_nothing_while_the_new_pods_are_missing() -> None:
    """New pods that are not available yet count as missing."""
    limits = Limits(replicas=2, surge=1, unavailable=0)

    assert shrunk(limits, [a_set("old", 2, available=2)], a_set("new", 1)) == {"old": 2}


@pytest.mark.parametrize(
    ("replicas", "limit", "before", "after"),
    [
        pytest.param(15, 4, (8, 5), (12, 7), id="growing"),
        pytest.param(5, 2, (8, 5), (4, 3), id="shrinking"),
        pytest.param(0, 0, (8, 5), (0, 0), id="to nothing"),
        pytest.param(10, 3, (8, 5), (8, 5), id="unchanged"),
    ],
)
def test_scales_in_proportion(
    replicas: int, limit: int, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """Each set of a rollout in progress keeps its share when the Deployment is scaled."""
    sets = [
        a_set("old", before[0], maximum=13, created="2026-01-01T00:00:00Z"),
        a_set("new", before[1], maximum=13, created="2026-01-02T00:00:00Z"),
    ]

    sizes = proportional(Limits(replicas, limit, 1), sets, 10)

    assert (sizes["old"], sizes["new"]) == after


def test_recreate_has_no_slack() -> None:
    """Without a rolling update nothing may be missing and nothing be too much."""
    deployment = {"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}

    assert limits_of(deployment) == Limits(3, 0, 0)
