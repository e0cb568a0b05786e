"""Raised minimums of autoscalers: what is written, and what comes back; on a real API and without."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.kube.objects import HPA, Object, annotations_of
from flagger.rollout.state import Autoscaling
from flagger.workloads.floors import HELD, held_patch, is_contested
from flagger.workloads.scalers import (
    autoscaling_of,
    ensure_primary_scaler,
    hold_target,
    pause_scaler,
    working_size,
)
from tests.fakes.cluster import Lab
from tests.workloads.test_scalers import an_autoscaler, scaled


def live(note: str | None, **spec: Any) -> Object:
    """An autoscaler of 2 to 8 pods."""
    metadata = {"name": "checkout", "annotations": {HELD: note} if note else {}}
    return {"metadata": metadata, "spec": {"minReplicas": 2, "maxReplicas": 8, **spec}}


def patch(note: str | None, minimum: int | None = None) -> Object:
    """The patch of both, or of the note alone."""
    spec = {} if minimum is None else {"spec": {"minReplicas": minimum}}
    return {"metadata": {"annotations": {HELD: note}}, **spec}


@pytest.mark.parametrize(
    ("before", "floor", "expected"),
    [
        pytest.param(live(None), 5, patch("2/5", 5), id="raised"),
        pytest.param(live(None), 12, patch("2/8", 8), id="up to the maximum"),
        pytest.param(live(None), 2, {}, id="high enough already"),
        pytest.param(live(None), 0, {}, id="nothing to give back"),
        pytest.param(live("2/5", minReplicas=5), 5, {}, id="raised already"),
        pytest.param(live("2/5", minReplicas=5), 6, patch("2/6", 6), id="raised further"),
        pytest.param(live("2/5", minReplicas=5), 0, patch(None, 2), id="given back"),
        pytest.param(live("4/5", minReplicas=5), 3, patch(None, 4), id="never below its own"),
        pytest.param(live("2/5", minReplicas=3), 0, patch(None), id="its owner's change stays"),
        pytest.param(live("2/5", minReplicas=3), 6, patch("3/6", 6), id="on top of its owner's change"),
    ],
)
def test_what_is_written(before: Object, floor: int, expected: Object) -> None:
    """The note has the minimum that comes back, and the one that was set, to tell the owner's changes from ours."""
    assert held_patch(before, "minReplicas", floor) == expected


def test_a_minimum_that_was_not_there_goes_again() -> None:
    """ScaledObjects need not have one."""
    scaled_object: Object = {"metadata": {"name": "checkout"}, "spec": {"maxReplicaCount": 9}}
    raised = held_patch(scaled_object, "minReplicaCount", 4)
    assert raised == {"metadata": {"annotations": {HELD: "/4"}}, "spec": {"minReplicaCount": 4}}
    after = {"metadata": {"annotations": {HELD: "/4"}}, "spec": {"maxReplicaCount": 9, "minReplicaCount": 4}}

    given_back = {"metadata": {"annotations": {HELD: None}}, "spec": {"minReplicaCount": None}}
    assert held_patch(after, "minReplicaCount", 0) == given_back


def test_who_takes_it_back_is_noticed() -> None:
    """A minimum that is not the one that was set belongs to somebody else."""
    assert is_contested(live("2/5"), "minReplicas")
    assert not is_contested(live("2/5", minReplicas=5), "minReplicas")
    assert not is_contested(live(None), "minReplicas")


async def minimum(lab: Lab, name: str) -> tuple[int, str | None]:
    """The minimum and the note of an autoscaler."""
    stored = await lab.get(HPA, name)
    return stored["spec"]["minReplicas"], annotations_of(stored).get(HELD)


async def test_the_primary_is_held(lab: Lab) -> None:
    """Also over a promotion, which brings new limits; afterwards it has what was copied."""
    await lab.add(an_autoscaler())
    canary = scaled()
    await ensure_primary_scaler(lab.cluster, canary, update=False)
    await ensure_primary_scaler(lab.cluster, canary, update=False, floor=6)
    assert await minimum(lab, "checkout-primary") == (6, "2/6")
    lab.sent.clear()
    await ensure_primary_scaler(lab.cluster, canary, update=False, floor=6)
    assert lab.sent == [], "held already"

    await lab.change(HPA, {"spec": {"minReplicas": 3, "maxReplicas": 9}})
    await ensure_primary_scaler(lab.cluster, canary, update=True, floor=6)
    assert await minimum(lab, "checkout-primary") == (6, "3/6")
    await ensure_primary_scaler(lab.cluster, canary, update=False)

    assert await minimum(lab, "checkout-primary") == (3, None)
    assert (await lab.get(HPA, "checkout-primary"))["spec"]["maxReplicas"] == 9


async def test_a_raised_minimum_is_not_copied(lab: Lab) -> None:
    """The primary's own minimum is the target's own, also when it is copied in the middle of a run."""
    await lab.add(an_autoscaler())
    await hold_target(lab.cluster, scaled(), 5)
    await ensure_primary_scaler(lab.cluster, scaled(), update=False)
    assert await minimum(lab, "checkout-primary") == (2, None)

    await ensure_primary_scaler(lab.cluster, scaled(), update=True, floor=6)
    assert await minimum(lab, "checkout-primary") == (6, "2/6")


async def test_the_limits_of_the_canary_are_never_undercut(lab: Lab) -> None:
    """`primaryScalerReplicas` counts as the primary's own minimum."""
    await lab.add(an_autoscaler())
    canary = scaled(minReplicas=4)
    await ensure_primary_scaler(lab.cluster, canary, update=False)
    await ensure_primary_scaler(lab.cluster, canary, update=True, floor=3)

    assert await minimum(lab, "checkout-primary") == (4, None)


async def test_the_target_starts_with_what_it_is_held_at(lab: Lab) -> None:
    """And has its own minimum again as soon as it is parked."""
    await lab.add(an_autoscaler())
    await hold_target(lab.cluster, scaled(), 5)

    assert await working_size(lab.cluster, scaled(), None) == 5
    assert await autoscaling_of(lab.cluster, scaled(), primary=False) == Autoscaling(most=8)
    await pause_scaler(lab.cluster, scaled())
    assert await minimum(lab, "checkout") == (2, None)


async def test_nobody_fights_over_the_targets_minimum(lab: Lab) -> None:
    """What somebody takes back is not raised again in this run; what they wrote stays."""
    await lab.add(an_autoscaler())
    await hold_target(lab.cluster, scaled(), 5)
    await lab.change(HPA, {"spec": {"minReplicas": 3}})
    lab.sent.clear()
    await hold_target(lab.cluster, scaled(), 6)

    assert lab.sent == []
    assert await autoscaling_of(lab.cluster, scaled(), primary=False) == Autoscaling(most=8, contested=True)
    await pause_scaler(lab.cluster, scaled())
    assert await minimum(lab, "checkout") == (3, None)


async def test_an_autoscaler_that_is_gone(lab: Lab) -> None:
    """Nothing is held, and that stops nothing."""
    await hold_target(lab.cluster, scaled(), 5)

    assert await autoscaling_of(lab.cluster, scaled(), primary=True) is None
