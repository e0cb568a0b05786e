"""ReplicaSets keep their number of pods, with our controllers and with the real ones."""

import pytest

from flagger.kube.objects import POD, REPLICA_SET, Object, name_of, uid_of
from tests.sandbox.controllers.world import World, a_template, condition, owned_by, until


def a_set(replicas: int = 2, template: Object | None = None) -> Object:
    """A ReplicaSet `web`."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template or a_template(),
    }
    return {"metadata": {"name": "web"}, "spec": spec}


async def a_full_set(world: World, replicas: int = 2) -> Object:
    """A ReplicaSet whose pods are ready."""
    await world.create(REPLICA_SET, a_set(replicas))
    return await full(world, replicas)


async def full(world: World, replicas: int) -> Object:
    """The ReplicaSet once so many pods are available."""
    return await world.when(
        REPLICA_SET,
        "web",
        lambda one: one["status"].get("availableReplicas", 0) == replicas,
        f"{replicas} available",
    )


async def test_makes_pods_from_its_template(world: World) -> None:
    """Names, labels, annotations and the ownerReference are right, and the counters follow."""
    one = await a_full_set(world)
    pods = await world.pods()

    assert len(pods) == 2
    for pod in pods:
        (reference,) = pod["metadata"]["ownerReferences"]
        assert reference == {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": uid_of(one),
            "controller": True,
            "blockOwnerDeletion": True,
        }
        assert pod["metadata"]["generateName"] == "web-"
        assert len(name_of(pod)) == len("web-") + 5
        assert pod["metadata"]["labels"] == {"app": "web"}
    assert one["status"] == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }


async def test_replaces_a_pod_as_soon_as_it_is_being_deleted(world: World) -> None:
    """A pod that lingers does not count any more."""
    await world.create(REPLICA_SET, a_set(template=a_template(hold="yes")))
    await full(world, 2)
    doomed = (await world.pods())[0]

    await world.client.delete(POD, name_of(doomed), world.namespace)

    async def replaced() -> bool:
        return len(await world.pods()) == 2 and len(await world.all(POD)) == 3

    await until(replaced, "two pods beside the one that goes")
    await world.patch(REPLICA_SET, "web", {"spec": {"replicas": 0}})
    for pod in await world.all(POD):
        await world.patch(POD, name_of(pod), {"metadata": {"annotations": {"play/hold": None}}})


async def test_adopts_orphans_and_releases_strangers(world: World) -> None:
    """A pod that matches is taken in; one whose labels stop matching is let go and replaced."""
    await world.create(
        POD, {"metadata": {"name": "orphan", "labels": {"app": "web"}}, "spec": a_template()["spec"]}
    )
    one = await a_full_set(world)
    assert "orphan" in {name_of(pod) for pod in await world.pods()}
    assert owned_by(await world.get(POD, "orphan"), one)

    await world.patch(POD, "orphan", {"metadata": {"labels": {"app": "elsewhere"}}})
    await world.when(POD, "orphan", lambda pod: not owned_by(pod, one), "released")

    async def replaced() -> bool:
        return len(await world.pods("app=web")) == 2

    await until(replaced, "replaced")


async def test_scales_down_the_least_useful_first(world: World) -> None:
    """Of ready and unready pods, the unready one goes."""
    await a_full_set(world, 3)
    victim = name_of((await world.pods())[1])
    unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    await world.patch(POD, victim, unready, subresource="status")
    await full(world, 2)

    await world.patch(REPLICA_SET, "web", {"spec": {"replicas": 2}})

    async def left() -> bool:
        return victim not in {name_of(pod) for pod in await world.pods()}

    await until(left, "the unready pod is gone")
    assert len(await world.pods()) == 2


async def test_says_when_pods_cannot_be_made(world: World) -> None:
    """A refusal becomes a condition and an Event."""
    body = a_set(1, a_template())
    body["spec"]["template"]["spec"]["priorityClassName"] = "nope"
    await world.create(REPLICA_SET, body)

    async def refused() -> bool:
        if await world.pods():
            pytest.skip("this server refuses no pod that a template allows")
        return condition(await world.get(REPLICA_SET, "web"), "ReplicaFailure") == ("True", "FailedCreate")

    await until(refused, "the condition is there")
    (event, *_) = await world.events("FailedCreate")
    assert event["type"] == "Warning"
    assert "nope" in event["message"]
