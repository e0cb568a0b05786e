"""Deployments roll out as the checklist of the API says, with our controllers and with the real ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from flagger.kube.objects import DEPLOYMENT, POD, REPLICA_SET, Object, name_of
from tests.sandbox.controllers.world import (
    World,
    a_deployment,
    a_template,
    condition,
    image_patch,
    owned_by,
    revision,
    until,
)

ROLLING = "deployment.kubernetes.io/"


async def test_makes_a_replica_set_named_after_its_template(world: World) -> None:
    """One ReplicaSet `<name>-<hash>`, with the label of the hash and the three annotations."""
    await world.create(DEPLOYMENT, a_deployment(replicas=3))

    deployment = await world.deployed()
    (made,) = await world.sets()
    suffix = made["metadata"]["labels"]["pod-template-hash"]

    assert name_of(made) == f"web-{suffix}"
    assert set(suffix) <= set("456789bcdf")
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": suffix}
    annotations = made["metadata"]["annotations"]
    assert {key: annotations[ROLLING + key] for key in ("revision", "desired-replicas", "max-replicas")} == {
        "revision": "1",
        "desired-replicas": "3",
        "max-replicas": "4",
    }
    assert owned_by(made, deployment)
    assert revision(deployment) == 1


async def test_ends_available_and_complete(world: World) -> None:
    """All counters reach the size; zero counters are absent; both conditions say so."""
    await world.create(DEPLOYMENT, a_deployment(replicas=2))

    deployment = await world.deployed()
    status = deployment["status"]

    counters = {key: value for key, value in status.items() if key != "conditions"}
    assert counters == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    assert condition(deployment, "Available") == ("True", "MinimumReplicasAvailable")
    assert condition(deployment, "Progressing") == ("True", "NewReplicaSetAvailable")


async def test_conditions_come_in_the_known_order(world: World) -> None:
    """A create shows every stage that clients know: created, unavailable, progressing, available."""
    seen: list[tuple[tuple[str, str], tuple[str, str]]] = []
    async with watched(world, seen):
        await world.create(DEPLOYMENT, a_deployment(replicas=2))
        await world.deployed()
        await until(lambda: is_last(seen, ("True", "NewReplicaSetAvailable")), "the watch saw the end")

    stages = [stage for number, stage in enumerate(seen) if number == 0 or seen[number - 1] != stage]
    assert stages == [
        (("", ""), ("", "")),
        (("True", "NewReplicaSetCreated"), ("", "")),
        (("True", "NewReplicaSetCreated"), ("False", "MinimumReplicasUnavailable")),
        (("True", "ReplicaSetUpdated"), ("False", "MinimumReplicasUnavailable")),
        (("True", "NewReplicaSetAvailable"), ("True", "MinimumReplicasAvailable")),
    ]


async def is_last(seen: list[tuple[tuple[str, str], tuple[str, str]]], progressing: tuple[str, str]) -> bool:
    return bool(seen) and seen[-1][0] == progressing


@asynccontextmanager
async def watched(world: World, seen: list[tuple[tuple[str, str], tuple[str, str]]]) -> AsyncIterator[None]:
    """Collect the conditions Progressing and Available of every state of every Deployment."""
    version = (await world.client.list(DEPLOYMENT, world.namespace)).resource_version

    async def follow() -> None:
        async for event in world.client.watch(DEPLOYMENT, world.namespace, resource_version=version):
            stage = (condition(event.object, "Progressing"), condition(event.object, "Available"))
            seen.extend([stage] if event.type != "BOOKMARK" else [])

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_rolling_update_keeps_its_limits(world: World) -> None:
    """At no moment are there more pods than replicas + surge, or fewer available than replicas - unavailable."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    await world.create(DEPLOYMENT, a_deployment(replicas=4, strategy=strategy))
    await world.deployed()
    version = (await world.client.list(REPLICA_SET, world.namespace)).resource_version
    sets = {name_of(one): one for one in await world.sets()}
    totals = []

    async def follow() -> None:
        async for event in world.client.watch(REPLICA_SET, world.namespace, resource_version=version):
            if event.type != "BOOKMARK":
                sets[name_of(event.object)] = event.object
                totals.append(sum(one["spec"]["replicas"] for one in sets.values()))

    task = asyncio.create_task(follow())
    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2"))
    await world.deployed(image="registry.local/web:2")
    task.cancel()
    await asyncio.wait({task})

    assert max(totals) <= 5
    assert min(totals) >= 3
    assert [one["spec"]["replicas"] for one in await world.sets()] == [0, 4]


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "old", "new"),
    [
        (1, "25%", "25%", 1, 1),
        (3, 1, 0, 3, 1),
        (4, "50%", "50%", 2, 4),
        (4, 0, 1, 3, 1),
        (10, "25%", "25%", 8, 5),
    ],
)
async def test_rests_where_new_pods_never_get_ready(
    world: World, replicas: int, surge: int | str, unavailable: int | str, old: int, new: int
) -> None:
    """A version that does not start takes only the capacity that the limits allow."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    await world.create(DEPLOYMENT, a_deployment(replicas=replicas, strategy=strategy))
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2", ready="never"))

    async def at_rest() -> bool:
        sets = await world.sets()
        seen = [(one["spec"]["replicas"], one["status"].get("replicas", 0)) for one in sets]
        return seen == [(old, old), (new, new)]

    await until(at_rest, f"{old} old and {new} new pods")


async def test_says_when_the_deadline_has_passed(world: World) -> None:
    """Without progress the condition turns false after the deadline; nothing is undone, and progress heals it."""
    await world.create(DEPLOYMENT, a_deployment(progressDeadlineSeconds=1))
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2", ready="never"))
    late = await world.when(
        DEPLOYMENT,
        "web",
        lambda d: condition(d, "Progressing") == ("False", "ProgressDeadlineExceeded"),
        "the deadline has passed",
    )
    assert condition(late, "Available")[0] == "True"
    assert late["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.local/web:2"

    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:3", ready="yes"))
    healed = await world.deployed(image="registry.local/web:3")
    assert condition(healed, "Progressing") == ("True", "NewReplicaSetAvailable")


async def test_going_back_takes_up_the_old_replica_set(world: World) -> None:
    """The old template's set gets the next revision, and remembers that it was the first."""
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()
    (first,) = await world.sets()
    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2"))
    await world.deployed(image="registry.local/web:2")

    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:1"))
    deployment = await world.deployed(image="registry.local/web:1")
    sets = await world.sets()

    assert [name_of(one) for one in sets][-1] == name_of(first)
    assert sets[-1]["metadata"]["annotations"][ROLLING + "revision-history"] == "1"
    assert [revision(one) for one in sets] == [2, 3]
    assert revision(deployment) == 3


async def test_paused_it_scales_but_does_not_roll_out(world: World) -> None:
    """While paused a new template waits; sizes are followed; resumed, it goes on."""
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", {"spec": {"paused": True, "replicas": 3}})
    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2"))
    paused = await world.when(
        DEPLOYMENT,
        "web",
        lambda d: (d["status"].get("availableReplicas"), d["status"].get("updatedReplicas")) == (3, None),
        "scaled, not updated",
    )
    assert condition(paused, "Progressing") == ("Unknown", "DeploymentPaused")
    assert len(await world.sets()) == 1

    await world.patch(DEPLOYMENT, "web", {"spec": {"paused": False}})
    await world.deployed(image="registry.local/web:2", replicas=3)


async def test_recreate_never_mixes_versions(world: World) -> None:
    """The first new pod comes when the last old one has gone, be it ever so slow."""
    template = a_template(hold="yes")
    await world.create(DEPLOYMENT, a_deployment(template=template, strategy={"type": "Recreate"}))
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2", hold="yes"))

    async def all_leaving() -> list[Object]:
        pods = await world.all(POD)
        return pods if all("deletionTimestamp" in pod["metadata"] for pod in pods) else []

    leaving = await until(all_leaving, "the old pods are being deleted")
    assert len(leaving) == 2
    assert await world.sets_at(2) == []
    for pod in leaving:
        await world.patch(POD, name_of(pod), {"metadata": {"annotations": {"play/hold": None}}})
    await world.deployed(image="registry.local/web:2")
    assert len(await world.pods()) == 2
    await world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 0}})
    for pod in await world.all(POD):
        await world.patch(POD, name_of(pod), {"metadata": {"annotations": {"play/hold": None}}})


async def test_counts_pods_as_available_after_min_ready_seconds(world: World) -> None:
    """Ready comes at once, available only later, without anything else happening."""
    await world.create(DEPLOYMENT, a_deployment(minReadySeconds=2))

    ready = await world.when(DEPLOYMENT, "web", lambda d: d["status"].get("readyReplicas") == 2, "ready")
    assert "availableReplicas" not in ready["status"]
    await world.deployed()


async def test_keeps_as_much_history_as_asked(world: World) -> None:
    """Of the old ReplicaSets the newest stay."""
    await world.create(DEPLOYMENT, a_deployment(replicas=1, revisionHistoryLimit=1))
    await world.deployed()
    for number in (2, 3, 4):
        await world.patch(DEPLOYMENT, "web", image_patch(f"registry.local/web:{number}"))
        await world.deployed(image=f"registry.local/web:{number}")

    async def trimmed() -> bool:
        return [revision(one) for one in await world.sets()] == [3, 4]

    await until(trimmed, "one old set is left")


async def test_annotations_reach_the_replica_set(world: World) -> None:
    """All but kubectl's own are copied, also when they come later; the generation is followed."""
    body = a_deployment()
    body["metadata"]["annotations"] = {
        "team": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    await world.create(DEPLOYMENT, body)
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", {"metadata": {"annotations": {"note": "later"}}})
    (one,) = await until(lambda: sets_with(world, "note", "later"), "the annotation is copied")

    assert one["metadata"]["annotations"]["team"] == "shop"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in one["metadata"]["annotations"]
    await world.deployed()


async def sets_with(world: World, key: str, value: str) -> list[Object]:
    return [one for one in await world.sets() if one["metadata"]["annotations"].get(key) == value]


async def test_tells_what_it_scales(world: World) -> None:
    """Events name the Deployment, the ReplicaSet and the size."""
    await world.create(DEPLOYMENT, a_deployment())
    deployment = await world.deployed()

    (scaled, *_) = await world.events("ScalingReplicaSet")
    assert scaled["involvedObject"]["uid"] == deployment["metadata"]["uid"]
    assert scaled["source"]["component"] == "deployment-controller"
    assert scaled["message"].startswith("Scaled up replica set web-")
    assert scaled["message"].endswith(" to 2")
    created = await world.events("SuccessfulCreate")
    assert created[0]["involvedObject"]["kind"] == "ReplicaSet"
    assert created[0]["message"].startswith("Created pod: web-")


async def test_scaling_a_rollout_is_proportional(world: World) -> None:
    """Ten pods, eight old and five new, become fifteen: twelve and seven."""
    await world.create(DEPLOYMENT, a_deployment(replicas=10))
    await world.deployed()
    await world.patch(DEPLOYMENT, "web", image_patch("registry.local/web:2", ready="never"))

    async def sized(*wanted: int) -> bool:
        return [one["spec"]["replicas"] for one in await world.sets()] == list(wanted)

    await until(lambda: sized(8, 5), "at rest")
    await world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 15}})
    await until(lambda: sized(12, 7), "scaled in proportion")


async def test_a_deployment_at_zero_stays_available(world: World) -> None:
    """Parked and taken up again: complete all the while, no counters at zero."""
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()

    await world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 0}})
    parked = await world.when(DEPLOYMENT, "web", lambda d: "replicas" not in d["status"], "no replicas")
    assert condition(parked, "Available") == ("True", "MinimumReplicasAvailable")
    assert condition(parked, "Progressing") == ("True", "NewReplicaSetAvailable")

    await world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 1}})
    back = await world.deployed(replicas=1)
    assert condition(back, "Progressing") == ("True", "NewReplicaSetAvailable")
