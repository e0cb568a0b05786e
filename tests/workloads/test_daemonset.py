"""A DaemonSet as target, on a real API."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import DAEMON_SET, Object
from flagger.runtime.kinds import CANARY
from flagger.workloads.base import Options, TargetError
from flagger.workloads.daemonset import CONTROLLER_REVISION, DaemonSetWorkload
from flagger.workloads.primary import REVISION, identity_of
from flagger.workloads.readiness import daemonset_readiness
from tests.fakes.cluster import SHOP, Lab, a_canary, a_target

NOW = datetime(2030, 1, 5, tzinfo=UTC)
PRIMARY = "checkout-primary"
PARKING = "flagger.app/scale-to-zero"
STATUS = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")


def a_daemonset(**pod: Any) -> Object:
    target = a_target()
    del target["spec"]["replicas"]
    target["spec"]["template"]["spec"] |= pod
    return target | {"kind": "DaemonSet"}


def the_canary(**spec: Any) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "checkout"}
    return a_canary(targetRef=reference, **spec)


async def bootstrapped(lab: Lab, **pod: Any) -> tuple[DaemonSetWorkload, Canary]:
    numbers = itertools.count(1)
    workload = DaemonSetWorkload(lab.cluster, Options(), lambda: f"id-{next(numbers)}")
    await lab.add(a_daemonset(**pod))
    canary = Canary.parse(await lab.add(the_canary()))
    await workload.ensure_primary(canary, refresh=True)
    return workload, canary


async def reported(lab: Lab, name: str, desired: int, updated: int, available: int) -> Object:
    """What the DaemonSet controller would report."""
    generation = (await lab.get(DAEMON_SET, name))["metadata"]["generation"]
    counts = dict(zip(STATUS, (desired, updated, available), strict=True))
    status = {"observedGeneration": generation, "currentNumberScheduled": desired, "numberMisscheduled": 0}
    body = {"status": {**status, "numberReady": available, **counts}}
    return await lab.change(DAEMON_SET, body, name, subresource="status")


def selector_of(daemonset: Object) -> Object | None:
    return daemonset["spec"]["template"]["spec"].get("nodeSelector")


@pytest.mark.parametrize(
    ("counts", "threshold", "missing"),
    [
        pytest.param((4, 4, 2), 50, "", id="enough available"),
        pytest.param((4, 4, 1), 50, "1 of 2 (readyThreshold 50%) updated pods are available", id="too few"),
        pytest.param((1, 0, 0), 100, "0 out of 1 new pods have been updated", id="not updated"),
        pytest.param((0, 0, 0), 100, "", id="parked"),
    ],
)
def test_readiness(counts: tuple[int, int, int], threshold: int, missing: str) -> None:
    """All nodes have the new pod, and the threshold's share of them is available."""
    status = dict(zip(STATUS, counts, strict=True)) | {"observedGeneration": 2}
    daemonset = {"metadata": {"name": "checkout", "generation": 2}, "status": status}

    text = daemonset_readiness(daemonset, threshold)

    assert text == (missing and f"waiting for rollout to finish: {missing}")
    daemonset["metadata"] = {"name": "checkout", "generation": 3}
    assert "observed daemonset generation less than desired" in daemonset_readiness(daemonset, threshold)


async def test_the_deadline(lab: Lab) -> None:
    """It counts from when pods are missing, in a run from its start: not from long ago, nor from the last write."""
    workload, canary = await bootstrapped(lab)
    unready = await reported(lab, PRIMARY, 2, 2, 1)
    status = {"run": {"number": 1, "started": "2030-01-05T00:00:00Z"}}
    running = Canary.parse(await lab.change(CANARY, {"status": status}, subresource="status"))
    long_ago, minutes = NOW - timedelta(hours=9), timedelta(minutes=1)

    assert not workload.readiness(canary, unready, long_ago).terminal
    assert workload.readiness(canary, unready, NOW).terminal
    assert not workload.readiness(running, unready, NOW + 9 * minutes).terminal
    late = workload.readiness(running, unready, NOW + 11 * minutes)
    assert late.terminal
    assert (
        late.message
        == "primary daemonset checkout-primary.shop not ready: exceeded its progressDeadlineSeconds: 600"
    )
    assert workload.readiness(running, await reported(lab, PRIMARY, 2, 2, 2), NOW).ready
    again = await reported(lab, PRIMARY, 2, 2, 1)
    assert not workload.readiness(running, again, NOW + 60 * minutes).terminal


@pytest.mark.parametrize("pod", [{}, {"nodeSelector": {"disktype": "ssd"}}], ids=["bare", "selective"])
async def test_parking(lab: Lab, pod: Object) -> None:
    """A parked target matches no node; nothing else of it changes, nor does its revision. Repeating is free."""
    workload, canary = await bootstrapped(lab, **pod)
    revision = workload.revision_of(await lab.get(DAEMON_SET))
    lab.sent.clear()

    for _ in range(2):
        await workload.scale_down(canary)
    parked = await lab.get(DAEMON_SET)
    assert selector_of(parked) == {**pod.get("nodeSelector", {}), PARKING: "true"}
    assert (await workload.sight(canary, NOW)).target.replicas == 0
    for _ in range(2):
        await workload.scale_up(canary)
    woken = await lab.get(DAEMON_SET)

    assert (selector_of(woken) or {}) == pod.get("nodeSelector", {})
    assert workload.revision_of(parked) == workload.revision_of(woken) == revision
    assert lab.writes() == ["PATCH daemonsets/checkout"] * 2


async def test_a_primary_is_never_parked(lab: Lab) -> None:
    """Neither when it is made from a parked target, nor when one is promoted."""
    workload, canary = await bootstrapped(lab, nodeSelector={PARKING: "true", "disktype": "ssd"})
    primary = await lab.get(DAEMON_SET, PRIMARY)
    assert selector_of(primary) == {"disktype": "ssd"}
    assert primary["spec"]["selector"]["matchLabels"] == {"app": "checkout-primary"}

    await workload.promote(canary, await pushed(lab, workload), None)

    after = await lab.get(DAEMON_SET, PRIMARY)
    assert selector_of(after) == {"disktype": "ssd"}
    assert identity_of(after["spec"]["template"]) == "id-2"


async def pushed(lab: Lab, workload: DaemonSetWorkload, image: str = "podinfo:2") -> str:
    containers = [{"name": "web", "image": image}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    return workload.revision_of(await lab.change(DAEMON_SET, body))


async def test_only_rolling_updates(lab: Lab) -> None:
    """Another update strategy is refused before anything is made."""
    workload = DaemonSetWorkload(lab.cluster, Options(), lambda: "id")
    target = a_daemonset()
    target["spec"]["updateStrategy"] = {"type": "OnDelete"}
    await lab.add(target)
    canary = Canary.parse(await lab.add(the_canary()))

    text = r"daemonset checkout\.shop must have RollingUpdate strategy but have OnDelete"
    for action in (workload.sight(canary, NOW), workload.ensure_primary(canary, refresh=True)):
        with pytest.raises(TargetError, match=text):
            await action


async def test_restore(lab: Lab) -> None:
    """A failed promotion gives the primary back the template that one of its ControllerRevisions has."""
    workload, canary = await bootstrapped(lab)
    before = await lab.get(DAEMON_SET, PRIMARY)
    await lab.client.create(CONTROLLER_REVISION, a_revision(before))
    await workload.promote(canary, await pushed(lab, workload), None)

    await workload.restore(canary)

    after = await lab.get(DAEMON_SET, PRIMARY)
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["metadata"]["annotations"][REVISION] == before["metadata"]["annotations"][REVISION]


def a_revision(daemonset: Object) -> Object:
    """What the DaemonSet controller keeps of a template."""
    template = daemonset["spec"]["template"]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": PRIMARY, "controller": True}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{PRIMARY}-1",
            "namespace": SHOP,
            "labels": {**template["metadata"]["labels"], "controller-revision-hash": "1"},
            "ownerReferences": [{**owner, "uid": daemonset["metadata"]["uid"]}],
        },
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": 1,
    }


async def test_revert(lab: Lab) -> None:
    """On deletion the target runs on its nodes again."""
    workload, canary = await bootstrapped(lab)
    await workload.scale_down(canary)

    await workload.revert(canary)

    assert not selector_of(await lab.get(DAEMON_SET))
