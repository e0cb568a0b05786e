"""Replacing objects: conflicts, versions, generations, no-op writes."""

import asyncio
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, lease, pod, service, widget
from tests.conformance.kubernetes_api.servers import MERGE_PATCH, Api

Object = dict[str, Any]


async def test_a_write_that_changes_nothing(api: Api) -> None:
    """PUT of the same object and an empty patch keep the version and cause no event."""
    made = await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")
    version = made["metadata"]["resourceVersion"]

    async with api.watch(api.path("configmaps"), {"resourceVersion": version}) as stream:
        assert (await api.put(path, made)).ok()["metadata"]["resourceVersion"] == version
        assert (await api.patch(path, {})).ok() == made
        assert (
            await api.patch(path, {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})
        ).ok() == made
        changed = (await api.patch(path, {"data": {"a": "2"}})).ok()
        event = await stream.next()

    assert event is not None
    assert event["object"]["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


async def test_a_stale_put_conflicts(api: Api) -> None:
    """PUT with an older resourceVersion is 409 and changes nothing."""
    made = await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")
    (await api.put(path, made | {"data": {"a": "2"}})).ok()

    body = (await api.put(path, made | {"data": {"a": "3"}})).failed(409, "Conflict")

    assert "the object has been modified" in body["message"]
    assert body["details"] == {"name": "settings", "kind": "configmaps"}
    assert (await api.get(path)).ok()["data"] == {"a": "2"}


async def test_another_uid_conflicts(api: Api) -> None:
    """A uid that is not the object's is 409 in PUT and 422 in PATCH."""
    await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")
    uid = "11111111-1111-1111-1111-111111111111"

    (await api.put(path, config_map(uid=uid))).failed(409, "Conflict")
    reply = await api.patch(path, {"metadata": {"uid": uid}})
    assert reply.status in {409, 422}


@pytest.mark.parametrize(
    ("plural", "group", "obj", "status"),
    [
        pytest.param("configmaps", "v1", config_map("x"), 200, id="ConfigMap"),
        pytest.param("services", "v1", service("x"), 422, id="Service"),
        pytest.param("leases", "coordination.k8s.io/v1", lease("x"), 422, id="Lease"),
    ],
)
async def test_put_without_a_version(api: Api, plural: str, group: str, obj: Object, status: int) -> None:
    """Some kinds are overwritten by a PUT without a resourceVersion, others insist on one."""
    await api.create(plural, obj, group=group)

    reply = await api.put(api.path(plural, "x", group=group), obj)

    assert reply.status == status
    if status == 422:
        assert "metadata.resourceVersion" in reply.cause_fields()


async def test_custom_resources_insist_on_a_version(api: Api, widgets: str) -> None:
    """PUT of a custom resource without a resourceVersion is 422."""
    obj = widget(widgets.removesuffix("/v1"))
    await api.create("widgets", obj, group=widgets)

    reply = await api.put(api.path("widgets", "one", group=widgets), obj)

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["metadata.resourceVersion"]


async def test_put_on_a_missing_object(api: Api) -> None:
    """PUT of a missing ConfigMap is 404; Leases and Endpoints are created by it."""
    (await api.put(api.path("configmaps", "settings"), config_map())).failed(404, "NotFound")

    path = api.path("leases", "op", group="coordination.k8s.io/v1")
    assert (await api.put(path, lease())).status == 201
    endpoints = {"metadata": {"name": "web"}, "subsets": []}
    assert (await api.put(api.path("endpoints", "web"), endpoints)).status == 201


async def test_generation_of_a_deployment(api: Api) -> None:
    """Spec and annotation changes raise a Deployment's generation, labels and status do not."""
    await api.create("deployments", deployment(), group="apps/v1")
    path = api.path("deployments", "checkout", group="apps/v1")
    changes: list[tuple[str, Object, int]] = [
        (path, {"metadata": {"labels": {"x": "y"}}}, 1),
        (path, {"spec": {"replicas": 3}}, 2),
        (path, {"metadata": {"annotations": {"x": "y"}}}, 3),
        (f"{path}/status", {"status": {"observedGeneration": 3}}, 3),
        (path, {"metadata": {"generation": 77}}, 3),
    ]

    for where, change, generation in changes:
        assert (await api.patch(where, change)).ok()["metadata"]["generation"] == generation, change


async def test_generation_of_a_custom_resource(api: Api, widgets: str) -> None:
    """Only changes outside metadata and status raise it."""
    await api.create("widgets", widget(widgets.removesuffix("/v1")), group=widgets)
    path = api.path("widgets", "one", group=widgets)
    changes: list[tuple[str, Object, int]] = [
        (path, {"metadata": {"annotations": {"x": "y"}}}, 1),
        (f"{path}/status", {"status": {"phase": "Ready"}}, 1),
        (path, {"spec": {"size": 4}}, 2),
    ]

    for where, change, generation in changes:
        assert (await api.patch(where, change)).ok()["metadata"]["generation"] == generation, change


async def test_status_and_spec_are_apart(api: Api) -> None:
    """PATCH of the object ignores status, PATCH of /status ignores spec."""
    await api.create("deployments", deployment(), group="apps/v1")
    path = api.path("deployments", "checkout", group="apps/v1")

    body = {"spec": {"replicas": 4}, "status": {"observedGeneration": 9}}
    changed = (await api.patch(path, body)).ok()
    assert (changed["spec"]["replicas"], changed.get("status", {}).get("observedGeneration")) == (4, None)
    changed = (await api.patch(f"{path}/status", {"spec": {"replicas": 7}, "status": {"replicas": 4}})).ok()
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (4, 4)


async def test_status_of_a_custom_resource(api: Api, widgets: str) -> None:
    """/status takes over nothing but the status, not even labels; POST drops a status."""
    made = await api.create(
        "widgets", widget(widgets.removesuffix("/v1")) | {"status": {"phase": "x"}}, group=widgets
    )
    assert "status" not in made
    path = api.path("widgets", "one", group=widgets)

    body = {"spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}, "status": {"phase": "Ready"}}
    changed = (await api.patch(f"{path}/status", body)).ok()

    assert changed["status"] == {"phase": "Ready"}
    assert changed["spec"]["size"] == 3
    assert "labels" not in changed["metadata"]
    assert (await api.patch(path, {"status": {"phase": "Gone"}})).ok()["status"] == {"phase": "Ready"}


async def test_immutable_config_maps(api: Api) -> None:
    """The data of an immutable ConfigMap cannot change."""
    await api.create("configmaps", config_map() | {"immutable": True})

    reply = await api.patch(api.path("configmaps", "settings"), {"data": {"a": "2"}})

    reply.failed(422, "Invalid")


async def test_pods_change_little(api: Api) -> None:
    """A Pod's image may change, its env may not."""
    await api.create("pods", pod())
    path = api.path("pods", "web")
    strategic = "application/strategic-merge-patch+json"

    image = {"spec": {"containers": [{"name": "app", "image": "registry.local/checkout:2"}]}}
    (await api.patch(path, image, strategic)).ok()
    env = {"spec": {"containers": [{"name": "app", "env": [{"name": "A", "value": "1"}]}]}}
    reply = await api.patch(path, env, strategic)
    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["spec"]


async def test_one_of_two_leaders(api: Api) -> None:
    """Of two PUTs of a Lease from the same version exactly one succeeds."""
    made = await api.create("leases", lease(), group="coordination.k8s.io/v1")
    path = api.path("leases", "op", group="coordination.k8s.io/v1")
    wishes = [made | {"spec": made["spec"] | {"holderIdentity": name}} for name in ("left", "right")]

    replies = await asyncio.gather(*(api.put(path, wish) for wish in wishes))

    assert sorted(reply.status for reply in replies) == [200, 409]


async def test_lease_times(api: Api) -> None:
    """MicroTime has exactly six decimals, in and out."""
    path = api.path("leases", group="coordination.k8s.io/v1")

    (await api.post(path, lease(renewTime="2026-01-02T03:04:07.5Z"))).failed(400, "BadRequest")
    made = (await api.post(path, lease(renewTime="2026-01-02T03:04:07.500000Z"))).ok()
    assert made["spec"]["renewTime"] == "2026-01-02T03:04:07.500000Z"


async def test_dry_run_of_an_update(api: Api) -> None:
    """A rehearsed patch answers with the result and stores nothing."""
    made = await api.create("configmaps", config_map())
    path = api.path("configmaps", "settings")

    reply = await api.patch(path, {"data": {"a": "2"}}, MERGE_PATCH, params={"dryRun": "All"})

    assert reply.ok()["data"] == {"a": "2"}
    assert (await api.get(path)).ok() == made
