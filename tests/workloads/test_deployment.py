"""A Deployment as target, on a real API."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import DEPLOYMENT, Object, annotations_of, labels_of
from flagger.workloads.base import Options, SupersededError, TargetError
from flagger.workloads.deployment import DeploymentWorkload
from flagger.workloads.primary import PREVIOUS_REVISION, REVISION, identity_of
from tests.fakes.cluster import SHOP, Lab, a_canary, a_target
from tests.workloads.examples import basket, golden

NOW = datetime(2030, 1, 5, tzinfo=UTC)
PRIMARY = "checkout-primary"


def a_workload(lab: Lab, **options: object) -> DeploymentWorkload:
    """The workload, whose templates are called id-1, id-2, and so on."""
    numbers = itertools.count(1)
    return DeploymentWorkload(lab.cluster, Options(**options), lambda: f"id-{next(numbers)}")


async def bootstrapped(
    lab: Lab, target: Object | None = None, **options: object
) -> tuple[DeploymentWorkload, Canary]:
    """A target with its primary."""
    workload, canary = (
        a_workload(lab, **options),
        Canary.parse(await lab.add(target or a_target(), a_canary())),
    )
    await workload.ensure_primary(canary, refresh=False)
    return workload, canary


async def pushed(lab: Lab, workload: DeploymentWorkload, image: str) -> str:
    """Push another image to the target; returns the revision."""
    containers = [{"name": "web", "image": image}]
    return workload.revision_of(
        await lab.change(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": containers}}}})
    )


def image_of(deployment: Object) -> str:
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"]


async def test_primary_is_made_as_the_golden_file_says(lab: Lab) -> None:
    """What the server stores has every field of the golden file, and the revision that it runs."""
    canary, workload = basket(), a_workload(lab, prefixes=("app.kubernetes.io",))
    await lab.add(golden("target.yaml"))

    await workload.ensure_primary(canary, refresh=False)

    primary, expected = await lab.get(DEPLOYMENT, "basket-api-primary"), golden("primary.yaml")
    revision = workload.revision_of(await lab.get(DEPLOYMENT, "basket-api"))
    expected["metadata"]["annotations"][REVISION] = revision
    expected["spec"]["replicas"] = 4
    assert laid_over(primary, expected) == primary


def laid_over(live: object, wanted: object) -> object:
    """`live` with every field of `wanted`; lists element by element, as the server only adds defaults."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return live | {key: laid_over(live.get(key), value) for key, value in wanted.items()}
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [laid_over(before, after) for before, after in zip(live, wanted, strict=True)]
    return wanted


async def test_a_primary_that_is_there_is_left_alone(lab: Lab) -> None:
    """No request at all for a primary that exists."""
    workload, canary = await bootstrapped(lab)
    lab.sent.clear()

    await workload.ensure_primary(canary, refresh=False)
    await workload.ensure_primary(canary, refresh=True)

    assert lab.sent == []


async def test_an_initializing_primary_follows_its_target(lab: Lab) -> None:
    """A target that is fixed before the primary was ever ready fixes the primary too."""
    workload, canary = await bootstrapped(lab)
    await pushed(lab, workload, "podinfo:2")

    await workload.ensure_primary(canary, refresh=True)

    assert image_of(await lab.get(DEPLOYMENT, PRIMARY)) == "podinfo:2"


async def test_sight(lab: Lab) -> None:
    """What is seen of both sides: revisions, readiness, pods that serve, the label that tells them apart."""
    workload, canary = await bootstrapped(lab)
    await lab.rolled_out("checkout")

    seen = await workload.sight(canary, NOW)
    assert seen.target.available == 2
    assert seen.primary is not None
    assert seen.primary.revision == seen.target.revision
    assert seen.primary.readiness.message.startswith("checkout-primary.shop not ready: waiting for rollout")
    assert (seen.selector.label, seen.selector.primary) == ("app", "checkout-primary")


async def test_target_is_missing(lab: Lab) -> None:
    """The message names the target."""
    canary = Canary.parse(await lab.add(a_canary()))

    with pytest.raises(
        TargetError, match=r'deployment checkout\.shop get query error: .*"checkout" not found'
    ):
        await a_workload(lab).sight(canary, NOW)


async def test_promotion(lab: Lab) -> None:
    """The primary gets the analysed template, the target's size, and notes how to undo it."""
    workload, canary = await bootstrapped(lab, a_target(replicas=3))
    first = workload.revision_of(await lab.get(DEPLOYMENT))
    second = await pushed(lab, workload, "podinfo:2")
    await lab.change(DEPLOYMENT, {"spec": {"replicas": 5}}, PRIMARY)

    await workload.promote(canary, second, None)

    primary = await lab.get(DEPLOYMENT, PRIMARY)
    assert image_of(primary) == "podinfo:2"
    assert identity_of(primary["spec"]["template"]) == "id-2"
    assert primary["spec"]["replicas"] == 3
    assert annotations_of(primary)[REVISION] == second
    assert annotations_of(primary)[PREVIOUS_REVISION] == first


async def test_promotion_may_be_repeated(lab: Lab) -> None:
    """After a crash the same promotion comes again; the primary doesn't roll twice."""
    workload, canary = await bootstrapped(lab)
    revision = await pushed(lab, workload, "podinfo:2")
    await workload.promote(canary, revision, None)
    lab.sent.clear()

    await workload.promote(canary, revision, None)

    assert lab.sent == []


async def test_promotion_refuses_what_was_not_analysed(lab: Lab) -> None:
    """The target changed since its analysis: nothing is copied."""
    workload, canary = await bootstrapped(lab)
    analysed = await pushed(lab, workload, "podinfo:2")
    await pushed(lab, workload, "podinfo:3")

    with pytest.raises(SupersededError, match=r"checkout\.shop changed after its analysis"):
        await workload.promote(canary, analysed, None)

    assert image_of(await lab.get(DEPLOYMENT, PRIMARY)) == "podinfo:1"


async def test_promotion_keeps_what_others_put_on_the_primary(lab: Lab) -> None:
    """Annotations and labels of others stay, and so does the label that the primary is known by."""
    workload, canary = await bootstrapped(lab, prefixes=("*",))
    await lab.change(
        DEPLOYMENT, {"metadata": {"annotations": {"theirs": "1"}, "labels": {"them": "2"}}}, PRIMARY
    )
    revision = await pushed(lab, workload, "podinfo:2")

    await workload.promote(canary, revision, None)

    primary = await lab.get(DEPLOYMENT, PRIMARY)
    assert annotations_of(primary)["theirs"] == "1"
    assert labels_of(primary) == {"app": "checkout-primary", "them": "2"}


async def test_restore(lab: Lab) -> None:
    """A failed promotion gives the primary back the template that one of its ReplicaSets still has."""
    workload, canary = await bootstrapped(lab)
    before = await lab.get(DEPLOYMENT, PRIMARY)
    await lab.add(a_replica_set(before))
    await workload.promote(canary, await pushed(lab, workload, "podinfo:2"), None)

    await workload.restore(canary)
    await workload.restore(canary)

    after = await lab.get(DEPLOYMENT, PRIMARY)
    assert after["spec"]["template"] == before["spec"]["template"]
    assert annotations_of(after)[REVISION] == annotations_of(before)[REVISION]


async def test_restore_without_a_history(lab: Lab) -> None:
    """When the ReplicaSet is gone (revisionHistoryLimit 0), the primary stays as it is."""
    workload, canary = await bootstrapped(lab)
    await workload.promote(canary, await pushed(lab, workload, "podinfo:2"), None)

    await workload.restore(canary)

    assert image_of(await lab.get(DEPLOYMENT, PRIMARY)) == "podinfo:2"


def a_replica_set(deployment: Object) -> Object:
    """What the Deployment controller makes of a Deployment."""
    template = deployment["spec"]["template"]
    hashed = {"pod-template-hash": "6f7b8"}
    labels = {**template["metadata"]["labels"], **hashed}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"{PRIMARY}-6f7b8", "namespace": SHOP, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        },
    }


async def test_parking_and_waking(lab: Lab) -> None:
    """A parked target comes back with the primary's size; each is one write, and none when repeated."""
    workload, canary = await bootstrapped(lab, a_target(replicas=3))
    lab.sent.clear()

    sizes = []
    for move in (workload.scale_down, workload.scale_down, workload.scale_up, workload.scale_up):
        await move(canary)
        sizes.append((await lab.get(DEPLOYMENT))["spec"]["replicas"])

    assert sizes == [0, 0, 3, 3]
    assert lab.writes() == ["PATCH deployments/checkout"] * 2


async def test_a_target_that_was_scaled_by_hand_keeps_its_size(lab: Lab) -> None:
    """Somebody who gave the target replicas knows how many."""
    workload, canary = await bootstrapped(lab, a_target(replicas=3))
    lab.sent.clear()

    await workload.scale_up(canary)

    assert lab.sent == []


async def test_parking_a_target_that_is_gone(lab: Lab) -> None:
    """There is nothing to park; a rollback must not fail on it."""
    workload, canary = await bootstrapped(lab)
    await lab.remove(DEPLOYMENT)

    await workload.scale_down(canary)


async def test_a_parked_target_gets_a_primary_of_one(lab: Lab) -> None:
    """A target at zero replicas says nothing about the size that is needed."""
    await bootstrapped(lab, a_target(replicas=0))

    assert (await lab.get(DEPLOYMENT, PRIMARY))["spec"]["replicas"] == 1


SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "checkout"}


@pytest.mark.parametrize(
    ("wanted", "spec"),
    [
        pytest.param(3, {"autoscalerRef": SCALER}, id="an autoscaler's business"),
        pytest.param(0, {}, id="parked meanwhile"),
    ],
)
async def test_promotion_leaves_the_size(lab: Lab, wanted: int, spec: Object) -> None:
    """With an autoscaler the number of replicas is its business; a parked target says nothing about it."""
    await lab.add(a_target(replicas=2))
    workload, canary = a_workload(lab), Canary.parse(await lab.add(a_canary(**spec)))
    await workload.ensure_primary(canary, refresh=False)
    await lab.change(DEPLOYMENT, {"spec": {"replicas": wanted}})

    await workload.promote(canary, await pushed(lab, workload, "podinfo:2"), None)

    assert (await lab.get(DEPLOYMENT, PRIMARY))["spec"]["replicas"] == 2


async def test_revert(lab: Lab) -> None:
    """On deletion the target takes over with the primary's size."""
    workload, canary = await bootstrapped(lab, a_target(replicas=3))
    await workload.scale_down(canary)

    await workload.revert(canary)

    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 3
