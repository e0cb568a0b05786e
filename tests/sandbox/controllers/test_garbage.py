"""What belongs to something deleted goes by the policy, with our controllers and with the real ones."""

from itertools import count

import pytest

from flagger.kube.objects import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    JOB,
    POD,
    REPLICA_SET,
    Kind,
    Object,
    name_of,
    owner_reference,
    uid_of,
)
from tests.sandbox.controllers.test_jobs import a_job
from tests.sandbox.controllers.world import World, a_deployment, a_template, owned_by, until

_groups = count(1)


def a_map(name: str, *references: Object) -> Object:
    """A ConfigMap with owners."""
    return {"metadata": {"name": name, "ownerReferences": list(references)}}


async def nothing_left(world: World, *kinds: Kind) -> None:
    """Wait until there is nothing of these kinds."""

    async def check() -> bool:
        return not [obj for kind in kinds for obj in await world.all(kind)]

    await until(check, f"no {', '.join(kind.kind for kind in kinds)} is left")


async def test_background_takes_everything_below(world: World) -> None:
    """The Deployment goes at once, its ReplicaSets and pods follow."""
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()

    await world.client.delete(DEPLOYMENT, "web", world.namespace)

    await world.gone(DEPLOYMENT, "web")
    await nothing_left(world, REPLICA_SET, POD)


async def test_foreground_keeps_the_owner_until_the_last(world: World) -> None:
    """The owner waits for dependents that block it."""
    await world.create(DEPLOYMENT, a_deployment(template=a_template(hold="yes")))
    await world.deployed()

    await world.client.delete(DEPLOYMENT, "web", world.namespace, propagation="Foreground")

    waiting = await world.get(DEPLOYMENT, "web")
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]

    async def pods_leave() -> bool:
        return not await world.pods()

    await until(pods_leave, "the pods are being deleted")
    assert uid_of(await world.get(DEPLOYMENT, "web")) == uid_of(waiting)
    for pod in await world.all(POD):
        await world.patch(POD, name_of(pod), {"metadata": {"annotations": {"play/hold": None}}})
    await world.gone(DEPLOYMENT, "web")
    await nothing_left(world, REPLICA_SET, POD)


async def test_orphan_leaves_what_is_below(world: World) -> None:
    """The ReplicaSet lives on, without an owner."""
    await world.create(DEPLOYMENT, a_deployment())
    deployment = await world.deployed()
    (one,) = await world.sets()

    await world.client.delete(DEPLOYMENT, "web", world.namespace, propagation="Orphan")

    await world.gone(DEPLOYMENT, "web")
    await world.when(REPLICA_SET, name_of(one), lambda left: not owned_by(left, deployment), "orphaned")
    assert len(await world.pods()) == 2


async def test_survives_one_of_two_owners(world: World) -> None:
    """With another owner left, only the reference goes."""
    first = await world.create(CONFIG_MAP, a_map("first"))
    second = await world.create(CONFIG_MAP, a_map("second"))
    references = [owner_reference(CONFIG_MAP, first, controller=False), owner_reference(CONFIG_MAP, second)]
    await world.create(CONFIG_MAP, a_map("child", *references))

    await world.client.delete(CONFIG_MAP, "first", world.namespace)

    child = await world.when(
        CONFIG_MAP, "child", lambda obj: not owned_by(obj, first), "the reference is gone"
    )
    assert owned_by(child, second)


@pytest.mark.parametrize("same_name", [True, False], ids=["namesake", "nobody"])
async def test_collects_what_names_an_owner_that_never_was(world: World, *, same_name: bool) -> None:
    """Uids count, names do not."""
    owner = await world.create(CONFIG_MAP, a_map("owner"))
    reference = owner_reference(CONFIG_MAP, owner) | {"uid": "00000000-0000-0000-0000-000000000000"}
    await world.create(CONFIG_MAP, a_map("child", reference | ({} if same_name else {"name": "nobody"})))

    await world.gone(CONFIG_MAP, "child")
    assert name_of(await world.get(CONFIG_MAP, "owner")) == "owner"


async def test_leaves_dependents_of_unknown_kinds_alone(world: World) -> None:
    """An owner that cannot be looked up may well exist."""
    reference = {"apiVersion": "unknown.example/v1", "kind": "Mystery", "name": "x", "uid": "1-2-3"}
    await world.create(CONFIG_MAP, a_map("child", reference))
    marker = owner_reference(CONFIG_MAP, {"metadata": {"name": "nobody", "uid": "4-5-6"}})
    await world.create(CONFIG_MAP, a_map("marker", marker))

    await world.gone(CONFIG_MAP, "marker")  # by now the other one has been looked at too
    assert name_of(await world.get(CONFIG_MAP, "child")) == "child"


async def test_collects_dependents_of_custom_resources(world: World) -> None:
    """A kind that was defined a moment ago has owners like any other."""
    group = f"garbage{next(_groups)}.{world.namespace}.example"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    await world.client.create(CRD, definition)
    widgets = Kind(group, "v1", "Widget", "widgets")

    async def is_served() -> bool:
        obj = await world.client.get(CRD, f"widgets.{group}")
        established = [c for c in obj.get("status", {}).get("conditions") or () if c["type"] == "Established"]
        return bool(established) and established[0]["status"] == "True"

    await until(is_served, "the definition is established")
    widget = await created(world, widgets)
    await world.create(CONFIG_MAP, a_map("child", owner_reference(widgets, widget)))

    await world.client.delete(widgets, "one", world.namespace)

    await until(lambda: child_gone(world), "the child is gone", within=60)
    await world.client.delete(CRD, f"widgets.{group}")


async def created(world: World, widgets: Kind) -> Object:
    """An instance, as soon as the server takes it."""

    async def attempt() -> Object | None:
        try:
            return await world.create(widgets, {"metadata": {"name": "one"}})
        except LookupError:
            return None

    return await until(attempt, "a widget is created")


async def child_gone(world: World) -> bool:
    return "child" not in {name_of(obj) for obj in await world.all(CONFIG_MAP)}


async def test_a_bare_delete_of_a_job_leaves_its_pods(world: World) -> None:
    """Jobs orphan their pods unless the client asks otherwise."""
    await world.create(JOB, a_job(exit_code=0))
    await world.when(JOB, "check", lambda job: job["status"].get("succeeded") == 1, "done")

    await world.client.raw("DELETE", JOB.path(world.namespace, "check"))

    await world.gone(JOB, "check")

    async def orphaned() -> bool:
        pods = await world.pods()
        return len(pods) == 1 and not pods[0]["metadata"].get("ownerReferences")

    await until(orphaned, "the pod has no owner")
