"""JSON patch, merge patch and strategic merge patch."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, pod_template, service, widget
from tests.conformance.kubernetes_api.servers import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Api,
)

Object = dict[str, Any]


@pytest.fixture
async def settings(api: Api) -> str:
    """The path of a ConfigMap with the data a and b."""
    await api.create("configmaps", config_map(data={"a": "1", "b": "2"}))
    return api.path("configmaps", "settings")


@pytest.fixture
async def basket(api: Api) -> str:
    """The path of a Deployment with the containers app (env A and B, a port) and side."""
    template = pod_template(
        {"app": "basket"},
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        ports=[{"containerPort": 9898, "name": "http"}],
    )
    template["spec"]["containers"].append({"name": "side", "image": "registry.local/proxy:1"})
    template["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    await api.create("deployments", deployment("basket", template=template), group="apps/v1")
    return api.path("deployments", "basket", group="apps/v1")


async def test_merge_patch(api: Api, settings: str) -> None:
    """`null` removes, maps merge, other values replace."""
    body = {"data": {"b": None, "c": "x"}, "metadata": {"annotations": {"note": "hello"}}}

    changed = (await api.patch(settings, body)).ok()

    assert changed["data"] == {"a": "1", "c": "x"}
    assert changed["metadata"]["annotations"] == {"note": "hello"}


async def test_a_merge_patch_replaces_lists(api: Api, basket: str) -> None:
    """A merge patch knows no keys: the list of containers is what the patch says."""
    body = {"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "x:1"}]}}}}

    changed = (await api.patch(basket, body)).ok()

    assert [item["name"] for item in changed["spec"]["template"]["spec"]["containers"]] == ["only"]


async def test_a_patch_may_name_the_version(api: Api, settings: str) -> None:
    """A stale resourceVersion in a patch is 409; without one a patch never conflicts."""
    old = (await api.get(settings)).ok()["metadata"]["resourceVersion"]
    (await api.patch(settings, {"data": {"a": "9"}})).ok()

    reply = await api.patch(settings, {"metadata": {"resourceVersion": old}, "data": {"a": "0"}})

    reply.failed(409, "Conflict")
    assert (await api.get(settings)).ok()["data"]["a"] == "9"


async def test_json_patch(api: Api, settings: str) -> None:
    """Operations apply in order; `add` of a member that is there replaces it."""
    body = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "z"},
        {"op": "add", "path": "/data/b", "value": "3"},
        {"op": "add", "path": "/metadata/labels", "value": {"x~y/z": "w"}},
        {"op": "copy", "from": "/data/a", "path": "/data/c"},
        {"op": "move", "from": "/data/b", "path": "/data/d"},
        {"op": "remove", "path": "/metadata/labels/x~0y~1z"},
    ]

    reply = await api.patch(settings, body, JSON_PATCH)

    assert reply.ok()["data"] == {"a": "z", "c": "z", "d": "3"}


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "test", "path": "/data/a", "value": "nope"}, id="a failing test"),
        pytest.param({"op": "remove", "path": "/data/none"}, id="removing what is not there"),
        pytest.param({"op": "add", "path": "/spec/x/y", "value": 1}, id="a missing parent"),
        pytest.param({"op": "frobnicate", "path": "/data"}, id="an unknown operation"),
    ],
)
async def test_a_json_patch_applies_as_a_whole(api: Api, settings: str, operation: Object) -> None:
    """An operation that does not apply is 422, and the ones before it have no effect."""
    before = (await api.get(settings)).ok()
    body = [{"op": "replace", "path": "/data/a", "value": "z"}, operation]

    (await api.patch(settings, body, JSON_PATCH)).failed(422, "Invalid")

    assert (await api.get(settings)).ok() == before


async def test_a_json_patch_is_a_list(api: Api, settings: str) -> None:
    """An object as a JSON patch is 400."""
    (await api.patch(settings, {"data": {}}, JSON_PATCH)).failed(400, "BadRequest")


async def test_strategic_merge_by_name(api: Api, basket: str) -> None:
    """A container is found by its name; everything else of it and the other containers stay."""
    before = (await api.get(basket)).ok()["spec"]["template"]["spec"]["containers"]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "x:2"}]}}}}

    reply = await api.patch(basket, body, STRATEGIC_PATCH)

    assert reply.ok()["spec"]["template"]["spec"]["containers"] == [before[0] | {"image": "x:2"}, before[1]]


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        pytest.param([{"name": "new", "image": "n:1"}], ["new", "app", "side"], id="new ones come first"),
        pytest.param(
            [{"name": "side"}, {"name": "new", "image": "n:1"}],
            ["app", "side", "new"],
            id="after one mentioned",
        ),
        pytest.param(
            [{"name": "app"}, {"name": "new", "image": "n:1"}], ["app", "new", "side"], id="between"
        ),
        pytest.param([{"name": "app", "$patch": "delete"}], ["side"], id="delete"),
        pytest.param([{"$patch": "replace"}, {"name": "new", "image": "n:1"}], ["new"], id="replace"),
    ],
)
async def test_strategic_merge_of_lists(api: Api, basket: str, patch: list[Object], names: list[str]) -> None:
    """Order and directives of a keyed list."""
    body = {"spec": {"template": {"spec": {"containers": patch}}}}

    changed = (await api.patch(basket, body, STRATEGIC_PATCH)).ok()

    assert [item["name"] for item in changed["spec"]["template"]["spec"]["containers"]] == names


async def test_set_element_order(api: Api, basket: str) -> None:
    """$setElementOrder decides the order of the merged list."""
    containers = {
        "$setElementOrder/containers": [{"name": "side"}, {"name": "app"}],
        "containers": [{"name": "app", "image": "y:1"}],
    }

    changed = (await api.patch(basket, {"spec": {"template": {"spec": containers}}}, STRATEGIC_PATCH)).ok()

    assert [item["name"] for item in changed["spec"]["template"]["spec"]["containers"]] == ["side", "app"]


async def test_nested_delete(api: Api, basket: str) -> None:
    """$patch: delete removes one env entry."""
    env = [{"name": "A", "$patch": "delete"}]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": env}]}}}}

    changed = (await api.patch(basket, body, STRATEGIC_PATCH)).ok()

    assert changed["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "2"}]


async def test_retain_keys(api: Api, basket: str) -> None:
    """$retainKeys drops all other members: a strategy changes its type without leftovers."""
    body = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}

    changed = (await api.patch(basket, body, STRATEGIC_PATCH)).ok()

    assert changed["spec"]["strategy"] == {"type": "Recreate"}


async def test_finalizers_merge_as_a_set(api: Api, settings: str) -> None:
    """Finalizers are added by a strategic patch and removed with $deleteFromPrimitiveList."""
    one, two = {"metadata": {"finalizers": ["a.b/c"]}}, {"metadata": {"finalizers": ["a.b/d"]}}
    (await api.patch(settings, one, STRATEGIC_PATCH)).ok()
    both = (await api.patch(settings, two, STRATEGIC_PATCH)).ok()
    assert sorted(both["metadata"]["finalizers"]) == ["a.b/c", "a.b/d"]

    body = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c", "a.b/d"]}}
    assert "finalizers" not in (await api.patch(settings, body, STRATEGIC_PATCH)).ok()["metadata"]


async def test_service_ports_merge_by_port(api: Api) -> None:
    """Patching another port onto a Service gives two ports, which then both need names."""
    await api.create("services", service())

    reply = await api.patch(api.path("services", "web"), {"spec": {"ports": [{"port": 81}]}}, STRATEGIC_PATCH)

    reply.failed(422, "Invalid")


@pytest.mark.parametrize(
    "containers",
    [[{"image": "x"}], [{"name": "app", "$patch": "frobnicate"}]],
    ids=["no merge key", "unknown directive"],
)
async def test_a_broken_strategic_patch(api: Api, basket: str, containers: list[Object]) -> None:
    """An element without its merge key, or with an unknown directive, is an error and changes nothing."""
    before = (await api.get(basket)).ok()
    body = {"spec": {"template": {"spec": {"containers": containers}}}}

    assert (await api.patch(basket, body, STRATEGIC_PATCH)).status >= 400

    assert (await api.get(basket)).ok() == before


@pytest.mark.parametrize("kind", [MERGE_PATCH, JSON_PATCH, APPLY_PATCH, STRATEGIC_PATCH])
async def test_custom_resources_are_not_merged_strategically(api: Api, widgets: str, kind: str) -> None:
    """Strategic merge on a custom resource is 415, which tells clients to use another patch."""
    await api.create("widgets", widget(widgets.removesuffix("/v1")), group=widgets)
    bodies: dict[str, Any] = {
        JSON_PATCH: [{"op": "replace", "path": "/spec/size", "value": 4}],
        APPLY_PATCH: widget(widgets.removesuffix("/v1"), size=4),
    }
    params = {"fieldManager": "m", "force": "true"} if kind == APPLY_PATCH else {}

    reply = await api.patch(
        api.path("widgets", "one", group=widgets),
        bodies.get(kind, {"spec": {"size": 4}}),
        kind,
        params=params,
    )

    assert reply.status == (415 if kind == STRATEGIC_PATCH else 200)


async def test_a_patch_needs_its_content_type(api: Api, settings: str) -> None:
    """application/json is no patch: 415."""
    (await api.patch(settings, {}, "application/json")).failed(415, "UnsupportedMediaType")


async def test_patching_what_is_not_there(api: Api) -> None:
    """A patch of a missing object is 404."""
    (await api.patch(api.path("configmaps", "absent"), {"data": {}})).failed(404, "NotFound")


async def test_a_patch_cannot_move_an_object(api: Api, settings: str) -> None:
    """Changing name or namespace by a patch is 400."""
    (await api.patch(settings, {"metadata": {"name": "other"}})).failed(400, "BadRequest")
    body = (await api.patch(settings, {"metadata": {"namespace": "zzz"}})).failed(400, "BadRequest")
    assert "does not match the namespace" in body["message"]


async def test_a_patch_of_the_wrong_type(api: Api, basket: str) -> None:
    """A string where a number belongs is refused."""
    reply = await api.patch(basket, {"spec": {"replicas": "two"}}, STRATEGIC_PATCH)

    assert reply.status in {400, 422}
