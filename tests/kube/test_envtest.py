"""The same layer against a real kube-apiserver."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from flagger.kube.apply import ensure, merge_patch, retry_on_conflict
from flagger.kube.auth import Credential, Static, bearer
from flagger.kube.client import Client, PatchType
from flagger.kube.cluster import Cluster
from flagger.kube.errors import AlreadyExists, Conflict, Gone, Invalid, KindMissing, NotFound, Unauthorized
from flagger.kube.lease import LeaderElection, LeaseLost, Terms
from flagger.kube.objects import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    LEASE,
    NAMESPACE,
    Kind,
    Object,
    name_of,
    resource_version_of,
    uid_of,
)
from tests.fakes.envtest import ControlPlane
from tests.kube.tiny_api import eventually

pytestmark = pytest.mark.envtest
WIDGET = Kind("example.com", "v1", "Widget", "widgets")


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client(control_plane.connection) as client:
        yield client


@pytest.fixture
async def namespace(client: Client) -> str:
    """A namespace of its own; nothing deletes it, the server ends with the run."""
    created = await client.create(NAMESPACE, {"metadata": {"generateName": "kube-"}})
    return created["metadata"]["name"]


def config(name: str, namespace: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def deployment(namespace: str) -> Object:
    labels = {"app": "web"}
    return {
        "metadata": {"name": "web", "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    }


async def test_verbs(client: Client, namespace: str) -> None:
    """Every verb does what it says, and its refusals are the exceptions that it documents."""
    made = await client.create(CONFIG_MAP, config("a", namespace, v="1"))
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAP, config("a", namespace))
    patched = await client.patch(CONFIG_MAP, "a", namespace, {"data": {"v": "2", "w": "3"}})
    assert patched["data"] == {"v": "2", "w": "3"}
    stale = {"metadata": {"resourceVersion": resource_version_of(made)}, "data": {"v": "9"}}
    with pytest.raises(Conflict, match=f"patch ConfigMap {namespace}/a"):
        await client.patch(CONFIG_MAP, "a", namespace, stale)
    json_patch = [{"op": "remove", "path": "/data/w"}]
    assert (await client.patch(CONFIG_MAP, "a", namespace, json_patch, content=PatchType.JSON))["data"] == {
        "v": "2"
    }
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAP, "a", namespace, uid="00000000-0000-0000-0000-000000000000")
    assert await client.delete(CONFIG_MAP, "a", namespace, uid=uid_of(made)) is None
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, "a", namespace)
    with pytest.raises(Invalid, match="metadata"):
        await client.create(CONFIG_MAP, config("No Name", namespace))


async def test_server_side_apply(client: Client, namespace: str) -> None:
    """Apply creates, owns its fields, and conflicts with another manager unless forced."""
    wanted = deployment(namespace)
    await client.apply(DEPLOYMENT, wanted, manager="one")
    image = [{"name": "web", "image": "example.com/web:2"}]
    wanted["spec"]["template"]["spec"]["containers"] = image
    with pytest.raises(Conflict, match="one"):
        await client.apply(DEPLOYMENT, wanted, manager="two", force=False)
    applied = await client.apply(DEPLOYMENT, wanted, manager="two")
    assert applied["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/web:2"


async def test_strategic_patch_is_for_built_in_kinds(client: Client, namespace: str) -> None:
    """A strategic patch merges containers by name."""
    await client.create(DEPLOYMENT, deployment(namespace))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "example.com/side:1"}]}}}}
    patched = await client.patch(DEPLOYMENT, "web", namespace, body, content=PatchType.STRATEGIC)
    names = {container["name"] for container in patched["spec"]["template"]["spec"]["containers"]}
    assert names == {"web", "side"}


async def test_finalizers_and_dry_run(client: Client, namespace: str) -> None:
    """An object with a finalizer lives on after a deletion; a dry run leaves nothing behind."""
    obj = config("held", namespace)
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    await client.create(CONFIG_MAP, obj)
    left = await client.delete(CONFIG_MAP, "held", namespace)
    assert left is not None
    assert left["metadata"]["deletionTimestamp"]
    await client.patch(CONFIG_MAP, "held", namespace, {"metadata": {"finalizers": None}})
    await client.create(CONFIG_MAP, config("dry", namespace), dry_run=True)
    for name in ("held", "dry"):
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAP, name, namespace)


async def test_unknown_token(control_plane: ControlPlane) -> None:
    """A token nobody knows is Unauthorized."""
    connection = replace(control_plane.connection, credentials=Static(Credential(bearer("wrong"))))
    async with Client(connection) as client:
        with pytest.raises(Unauthorized):
            await client.get(NAMESPACE, "default")


async def test_cluster_reads_its_own_writes(client: Client, namespace: str) -> None:
    """A read after a write gives what was written; changes of others arrive within a second."""
    async with Cluster(client) as cluster, Client(client.connection) as other:
        assert await cluster.get(CONFIG_MAP, namespace, "a") is None
        await cluster.create(CONFIG_MAP, config("a", namespace, v="0"))
        for number in range(1, 30):
            await cluster.patch(CONFIG_MAP, "a", namespace, {"data": {"v": str(number)}})
            assert (await cluster.get(CONFIG_MAP, namespace, "a"))["data"]["v"] == str(number)
        changed: list[float] = []
        names: list[str] = []
        cluster.subscribe(CONFIG_MAP, lambda old, new: changed.append(time.monotonic()))
        cluster.subscribe(CONFIG_MAP, lambda old, new: names.append(name_of(new or old)))
        start = time.monotonic()
        await other.patch(CONFIG_MAP, "a", namespace, {"data": {"v": "theirs"}})
        await eventually(lambda: changed and changed[-1] > start)
        assert changed[-1] - start < 1
        await cluster.delete(CONFIG_MAP, "a", namespace)
        assert await cluster.get(CONFIG_MAP, namespace, "a") is None
        await cluster.create(CONFIG_MAP, config("a", namespace, v="again"))
        assert (await cluster.get(CONFIG_MAP, namespace, "a"))["data"]["v"] == "again"
        await other.create(CONFIG_MAP, config("last", namespace))
        await eventually(lambda: "last" in names)
        # The watch has repeated all of our writes by now.
        assert (await cluster.get(CONFIG_MAP, namespace, "a"))["data"]["v"] == "again"


async def test_ensure_changes_only_what_differs(client: Client, namespace: str) -> None:
    """Create or patch: the second time nothing is sent, and others' fields stay."""
    async with Cluster(client) as cluster:
        await ensure(cluster, DEPLOYMENT, deployment(namespace))
        await client.patch(DEPLOYMENT, "web", namespace, {"metadata": {"annotations": {"theirs": "1"}}})
        metadata = {"name": "web", "namespace": namespace, "labels": {"tier": "x"}}
        wanted = {"metadata": metadata, "spec": {"replicas": 3}}
        changed = await ensure(cluster, DEPLOYMENT, wanted)
        assert changed["metadata"]["annotations"]["theirs"] == "1"
        again = await ensure(cluster, DEPLOYMENT, wanted)
        assert resource_version_of(again) == resource_version_of(changed)


async def test_conflicting_writers_all_get_through(client: Client, namespace: str) -> None:
    """Ten writers that read, change and write the same object: with retries no update is lost."""
    await client.create(CONFIG_MAP, config("counter", namespace, n="0"))

    async def increment() -> None:
        seen = await client.get(CONFIG_MAP, "counter", namespace)
        data = {"n": str(int(seen["data"]["n"]) + 1)}
        body = {"metadata": {"resourceVersion": resource_version_of(seen)}, "data": data}
        await client.patch(CONFIG_MAP, "counter", namespace, body)

    await asyncio.gather(*(retry_on_conflict(increment, attempts=30) for _ in range(10)))
    assert (await client.get(CONFIG_MAP, "counter", namespace))["data"] == {"n": "10"}


async def test_merge_patches_mean_the_same_to_the_server(client: Client, namespace: str) -> None:
    """The server makes of old and patch exactly new."""
    old = await client.create(CONFIG_MAP, config("m", namespace, a="1", b="2", c="3"))
    new = {**old, "data": {"a": "1", "b": "5", "d": "6"}}
    patched = await client.patch(CONFIG_MAP, "m", namespace, merge_patch(old, new))
    assert patched["data"] == new["data"]


async def test_kind_that_is_installed_later(client: Client, namespace: str) -> None:
    """A kind without CRD is named; once the CRD is there it works; when it goes, that is a problem."""
    async with Cluster(client) as cluster:
        with pytest.raises(KindMissing, match=r"widgets\.example\.com"):
            await cluster.get(WIDGET, namespace, "w")
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        spec = {
            "group": WIDGET.group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        }
        await client.create(CRD, {"metadata": {"name": WIDGET.resource}, "spec": spec})
        await eventually(lambda: cluster.is_synced(WIDGET), within=40)
        await cluster.create(WIDGET, {"metadata": {"name": "w", "namespace": namespace}, "size": 3})
        assert (await cluster.get(WIDGET, namespace, "w"))["size"] == 3
        with pytest.raises(Gone):  # the server's memory of this kind begins with the CRD
            await anext(client.watch(WIDGET, namespace, resource_version="1"))
        await client.delete(CRD, WIDGET.resource)
        await eventually(lambda: WIDGET.resource in cluster.problems(), within=40)


async def test_lease(client: Client, namespace: str) -> None:
    """One of three candidates leads; when it stops, another follows at once."""
    terms = Terms(timedelta(seconds=6), timedelta(seconds=3), timedelta(milliseconds=200))
    leading: list[str] = []
    elections = {
        name: LeaderElection(client, namespace, "lead", name, terms=terms) for name in ("one", "two", "three")
    }

    async def work(name: str) -> None:
        leading.append(name)
        await asyncio.Event().wait()

    tasks = {
        name: asyncio.create_task(election.lead(lambda name=name: work(name)))
        for name, election in elections.items()
    }
    await eventually(lambda: leading)
    assert [election.held() for election in elections.values()].count(True) == 1
    first = leading[0]
    tasks[first].cancel()
    await eventually(lambda: len(leading) == 2, within=3)
    with pytest.raises(LeaseLost):
        elections[first].guard()
    elections[leading[1]].guard()
    lease = await client.get(LEASE, "lead", namespace)
    assert lease["spec"]["holderIdentity"] == leading[1]
    assert lease["spec"]["leaseTransitions"] >= 1
    for task in tasks.values():
        task.cancel()
    await asyncio.wait(tasks.values())
    assert not (await client.get(LEASE, "lead", namespace))["spec"].get("holderIdentity")
