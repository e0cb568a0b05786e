"""Deleting: finalizers, preconditions, grace, collections."""

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, pod
from tests.conformance.kubernetes_api.servers import Api

Object = dict[str, Any]


async def test_a_plain_delete(api: Api) -> None:
    """An object without finalizers is gone, and the answer is a Status naming it."""
    made = await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")

    body = (await api.delete(path)).ok()

    assert body["status"] == "Success"
    assert body["details"] == {"name": "settings", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    (await api.get(path)).failed(404, "NotFound")
    (await api.delete(path)).failed(404, "NotFound")


async def test_finalizers_hold_an_object(api: Api) -> None:
    """It stays with a deletionTimestamp, can be changed, takes no new finalizers, and goes with the last one."""
    await api.create("configmaps", config_map(finalizers=["example.com/hold"]))
    path = api.path("configmaps", "settings")

    marked = (await api.delete(path)).ok()
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await api.delete(path)).ok() == marked
    kept = (await api.patch(path, {"data": {"a": "2"}, "metadata": {"deletionTimestamp": None}})).ok()
    assert kept["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]

    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    reply = await api.patch(path, more)
    reply.failed(422, "Invalid")
    assert set(reply.cause_fields()) == {"metadata.finalizers"}

    last = (await api.patch(path, {"metadata": {"finalizers": None}})).ok()
    assert "finalizers" not in last["metadata"]
    assert (await api.get(path)).status == 404


async def test_the_watch_shows_the_last_state(api: Api) -> None:
    """DELETED carries the last stored state, finalizers included, with a version of its own."""
    await api.create("configmaps", config_map(finalizers=["example.com/hold"]))
    path = api.path("configmaps", "settings")
    marked = (await api.delete(path)).ok()["metadata"]

    async with api.watch(api.path("configmaps"), {"resourceVersion": marked["resourceVersion"]}) as stream:
        (await api.patch(path, {"metadata": {"finalizers": None}})).ok()
        event = await stream.next()

    assert event is not None
    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["finalizers"] == ["example.com/hold"]
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(marked["resourceVersion"])


async def test_deletion_raises_the_generation(api: Api) -> None:
    """Setting a deletionTimestamp counts as a change of the object."""
    obj = deployment()
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    await api.create("deployments", obj, group="apps/v1")
    path = api.path("deployments", "checkout", group="apps/v1")

    assert (await api.delete(path)).ok()["metadata"]["generation"] == 2
    (await api.patch(path, {"metadata": {"finalizers": None}})).ok()


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
async def test_propagation_leaves_work_to_the_collector(api: Api, policy: str, finalizer: str) -> None:
    """Foreground and Orphan mark the owner with a finalizer for the garbage collector."""
    await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")

    marked = (await api.delete(path, {"propagationPolicy": policy})).ok()

    assert marked["metadata"]["finalizers"] == [finalizer]
    (await api.patch(path, {"metadata": {"finalizers": None}})).ok()


async def test_bad_policy(api: Api) -> None:
    """An unknown propagationPolicy is 422 on DeleteOptions."""
    await api.create("configmaps", config_map())

    reply = await api.delete(api.path("configmaps", "settings"), {"propagationPolicy": "Sideways"})

    body = reply.failed(422, "Invalid")
    assert body["details"]["kind"] == "DeleteOptions"
    assert reply.cause_fields() == ["propagationPolicy"]


async def test_preconditions(api: Api) -> None:
    """Another uid or resourceVersion than the object's is 409; the right ones let it go."""
    made = (await api.create("configmaps", config_map()))["metadata"]
    path = api.path("configmaps", "settings")

    for wrong in ({"uid": "33333333-3333-3333-3333-333333333333"}, {"resourceVersion": "1"}):
        body = (await api.delete(path, {"preconditions": wrong})).failed(409, "Conflict")
        assert "the precondition" in body["message"]
    right = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    (await api.delete(path, {"preconditions": right})).ok()


async def test_a_rehearsed_delete(api: Api) -> None:
    """`dryRun` by parameter or by body deletes nothing."""
    await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")

    (await api.delete(path, params={"dryRun": "All"})).ok()
    (await api.delete(path, {"dryRun": ["All"]})).ok()

    (await api.get(path)).ok()


async def test_a_collection(api: Api) -> None:
    """DELETE with a label selector removes exactly the matching objects and lists them."""
    for name, group in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.create("configmaps", config_map(name, labels={"g": group}))

    body = (await api.delete(api.path("configmaps"), params={"labelSelector": "g=x"})).ok()

    assert body["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in body["items"]] == ["a", "b"]
    left = (await api.get(api.path("configmaps"), params={"labelSelector": "g"})).ok()["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


@pytest.fixture
async def running(api: Api) -> str:
    """The path of a pod that is bound and runs."""
    await api.create("pods", pod())
    path = api.path("pods", "web")
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-a"}}
    assert (await api.post(f"{path}/binding", binding)).status == 201
    (await api.patch(f"{path}/status", {"status": {"phase": "Running"}})).ok()
    return path


async def test_pods_get_time_to_stop(api: Api, running: str) -> None:
    """A running pod stays for its grace period; a second delete shortens it; 0 removes it."""
    marked = (await api.delete(running)).ok()
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    ends = datetime.fromisoformat(marked["metadata"]["deletionTimestamp"])
    assert 25 <= (ends - datetime.now(ends.tzinfo)).total_seconds() <= 31
    assert marked["status"]["phase"] == "Running"

    shorter = (await api.delete(running, {"gracePeriodSeconds": 5})).ok()
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    assert (await api.delete(running, {"gracePeriodSeconds": 60})).ok()["metadata"] == shorter["metadata"]
    (await api.patch(f"{running}/status", {"status": {"phase": "Running", "message": "x"}})).ok()

    (await api.delete(running, {"gracePeriodSeconds": 0})).ok()
    assert (await api.get(running)).status == 404


async def test_pods_that_do_not_run_go_at_once(api: Api) -> None:
    """A pod that was never bound needs no grace."""
    await api.create("pods", pod())
    path = api.path("pods", "web")

    (await api.delete(path)).ok()

    assert (await api.get(path)).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system"])
async def test_protected_namespaces(api: Api, name: str) -> None:
    """Some namespaces cannot be deleted."""
    body = (await api.delete(f"/api/v1/namespaces/{name}")).failed(403, "Forbidden")

    assert "this namespace may not be deleted" in body["message"]


async def test_a_namespace_waits_for_its_content(api: Api) -> None:
    """A deleted namespace is Terminating until its finalizer goes; nothing new comes in meanwhile."""
    namespace = (await api.post("/api/v1/namespaces", {"metadata": {"name": f"{api.namespace}-b"}})).ok()
    name = namespace["metadata"]["name"]
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert namespace["status"]["phase"] == "Active"
    path = f"/api/v1/namespaces/{name}"

    marked = (await api.delete(path)).ok()
    assert marked["status"]["phase"] == "Terminating"
    assert marked["metadata"]["deletionTimestamp"]
    reply = await api.post(api.path("configmaps", namespace=name), config_map())
    body = reply.failed(403, "Forbidden")
    assert "because it is being terminated" in body["message"]
    assert reply.causes[0]["reason"] == "NamespaceTerminating"

    kept = (await api.patch(path, {"spec": {"finalizers": None}})).ok()
    assert kept["spec"]["finalizers"] == ["kubernetes"]
    empty = kept | {"spec": {"finalizers": []}}
    (await api.put(f"{path}/finalize", empty)).ok()
    await api.gone(path)
