"""Server-side apply and the ownership of fields."""

import asyncio
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, pod_template, widget
from tests.conformance.kubernetes_api.servers import APPLY_PATCH, Api, Reply

Object = dict[str, Any]


def owned_by(obj: Object, manager: str, operation: str = "Apply") -> Object | None:
    """The fields that a manager owns, or None."""
    for entry in obj["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"]) == (manager, operation):
            return dict(entry["fieldsV1"])
    return None


async def apply(api: Api, manager: str, *, force: bool = False, **data: str) -> Reply:
    """Apply data of the ConfigMap prefs."""
    return await api.apply(
        api.path("configmaps", "prefs"), config_map("prefs", data=data), manager, force=force
    )


async def test_apply_creates(api: Api) -> None:
    """Apply to a missing name is 201, and its manager owns exactly what was applied."""
    body = config_map("prefs", {"a": "1", "b": "2"}, labels={"team": "web"})

    reply = await api.apply(api.path("configmaps", "prefs"), body, "alpha")

    assert reply.status == 201
    [entry] = reply.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("alpha", "Apply", "v1")
    assert entry["fieldsV1"] == {
        "f:data": {"f:a": {}, "f:b": {}},
        "f:metadata": {"f:labels": {"f:team": {}}},
    }


async def test_applying_again_changes_nothing(api: Api) -> None:
    """The same configuration leaves version and times alone, even a second later."""
    first = (await apply(api, "alpha", a="1")).ok()
    await asyncio.sleep(1.1)  # times have whole seconds: an update would show

    assert (await apply(api, "alpha", a="1")).ok() == first


async def test_conflicts(api: Api) -> None:
    """Changing another manager's field is 409 with the field; force takes it over."""
    (await apply(api, "alpha", a="1", b="2")).ok()

    reply = await apply(api, "beta", a="9", c="3")
    body = reply.failed(409, "Conflict")
    assert body["message"] == 'Apply failed with 1 conflict: conflict with "alpha": .data.a'
    assert reply.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alpha"', "field": ".data.a"}
    ]

    forced = (await apply(api, "beta", force=True, a="9", c="3")).ok()
    assert forced["data"] == {"a": "9", "b": "2", "c": "3"}
    assert owned_by(forced, "alpha") == {"f:data": {"f:b": {}}}
    assert owned_by(forced, "beta") == {"f:data": {"f:a": {}, "f:c": {}}}


async def test_several_conflicts(api: Api) -> None:
    """Every conflicting field is named, list elements by their key."""
    path = api.path("deployments", "web", group="apps/v1")
    (await api.apply(path, deployment("web"), "alpha")).ok()
    body = deployment("web", replicas=5, template=pod_template({"app": "web"}, image="registry.local/web:2"))

    reply = await api.apply(path, body, "beta")

    reply.failed(409, "Conflict")
    assert sorted(reply.cause_fields()) == [
        ".spec.replicas",
        '.spec.template.spec.containers[name="app"].image',
    ]


async def test_equal_values_are_shared(api: Api) -> None:
    """Two managers that apply the same value both own it; one of them leaving does not remove it."""
    (await apply(api, "alpha", a="1")).ok()

    both = (await apply(api, "beta", a="1")).ok()
    assert owned_by(both, "alpha") == owned_by(both, "beta") == {"f:data": {"f:a": {}}}

    left = (await apply(api, "alpha")).ok()
    assert left["data"] == {"a": "1"}


async def test_leaving_a_field_out_removes_it(api: Api) -> None:
    """A field that its only manager no longer applies goes, and an emptied map with it."""
    body = config_map("prefs", {"a": "1", "b": "2"}, labels={"team": "web"})
    path = api.path("configmaps", "prefs")
    (await api.apply(path, body, "alpha")).ok()

    changed = (await api.apply(path, config_map("prefs", {"b": "2"}), "alpha")).ok()

    assert changed["data"] == {"b": "2"}
    assert not changed["metadata"].get("labels")


async def test_a_removed_field_gets_its_default(api: Api) -> None:
    """Leaving replicas out resets them to 1."""
    path = api.path("deployments", "web", group="apps/v1")
    (await api.apply(path, deployment("web"), "alpha")).ok()
    body = deployment("web")
    del body["spec"]["replicas"]

    assert (await api.apply(path, body, "alpha")).ok()["spec"]["replicas"] == 1


async def test_a_patch_takes_ownership(api: Api) -> None:
    """After a plain patch of a field, its applier conflicts with the editor."""
    (await apply(api, "alpha", a="1", b="2")).ok()
    path = api.path("configmaps", "prefs")
    edited = (await api.patch(path, {"data": {"b": "3"}}, params={"fieldManager": "editor"})).ok()
    assert owned_by(edited, "alpha") == {"f:data": {"f:a": {}}}

    body = (await apply(api, "alpha", a="1", b="2")).failed(409, "Conflict")

    assert 'conflict with "editor" using v1: .data.b' in body["message"]


async def test_a_field_that_vanishes_is_nobodys(api: Api) -> None:
    """A patch that deletes a field takes it away from its owner."""
    (await apply(api, "alpha", a="1", b="2")).ok()

    changed = (await api.patch(api.path("configmaps", "prefs"), {"data": {"b": None}})).ok()

    assert owned_by(changed, "alpha") == {"f:data": {"f:a": {}}}


@pytest.mark.parametrize(
    ("params", "change", "status"),
    [
        pytest.param({}, {}, 422, id="no manager"),
        pytest.param({"fieldManager": "m"}, {"apiVersion": None}, 400, id="no apiVersion"),
        pytest.param({"fieldManager": "m"}, {"apiVersion": "v2"}, 400, id="another apiVersion"),
        pytest.param({"fieldManager": "m" * 129}, {}, 422, id="a long manager"),
    ],
)
async def test_what_apply_refuses(api: Api, params: dict[str, str], change: Object, status: int) -> None:
    """An apply needs a manager and the version of the URL."""
    body = {key: value for key, value in (config_map("prefs") | change).items() if value is not None}

    reply = await api.patch(api.path("configmaps", "prefs"), body, APPLY_PATCH, params=params)

    assert reply.status == status, reply.body


async def test_an_applied_configuration_owns_nothing_itself(api: Api) -> None:
    """`managedFields` in the body are 400."""
    entry = {
        "manager": "x",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    body = config_map("prefs", managedFields=[entry])

    reply = await api.apply(api.path("configmaps", "prefs"), body, "alpha")

    assert "managedFields must be nil" in reply.failed(400, "BadRequest")["message"]


async def test_force_is_for_apply(api: Api) -> None:
    """`force` on another patch is 422."""
    await api.create("configmaps", config_map())

    reply = await api.patch(api.path("configmaps", "settings"), {}, params={"force": "true"})

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["force"]


async def test_containers_merge_by_name(api: Api) -> None:
    """A second manager adds a side container without owning the first, and takes it away again."""
    path = api.path("deployments", "web", group="apps/v1")
    (await api.apply(path, deployment("web"), "alpha")).ok()
    side = {"name": "side", "image": "registry.local/proxy:1"}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    body = head | {"spec": {"template": {"spec": {"containers": [side]}}}}

    both = (await api.apply(path, body, "beta")).ok()
    assert [item["name"] for item in both["spec"]["template"]["spec"]["containers"]] == ["app", "side"]
    fields = owned_by(both, "beta")
    assert fields is not None
    assert list(fields["f:spec"]["f:template"]["f:spec"]["f:containers"]) == ['k:{"name":"side"}']

    alone = (await api.apply(path, head, "beta")).ok()
    assert [item["name"] for item in alone["spec"]["template"]["spec"]["containers"]] == ["app"]


async def test_owned_fields_of_a_deployment(api: Api) -> None:
    """Atomic maps are one field; list elements are named by key; nothing but what was applied is owned."""
    template = pod_template({"app": "web"}, env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])
    body = deployment("web", template=template)
    del body["metadata"]["labels"]

    made = (await api.apply(api.path("deployments", "web", group="apps/v1"), body, "alpha")).ok()

    env = {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    ports = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    app = {".": {}, "f:env": env, "f:image": {}, "f:name": {}, "f:ports": ports}
    pod_spec = {"f:containers": {'k:{"name":"app"}': app}}
    template_fields = {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": pod_spec}
    assert owned_by(made, "alpha") == {
        "f:spec": {"f:paused": {}, "f:replicas": {}, "f:selector": {}, "f:template": template_fields}
    }


async def test_two_elements_with_one_key(api: Api) -> None:
    """A keyed list with a key twice is refused."""
    body = deployment("web")
    body["spec"]["template"]["spec"]["containers"] *= 2

    assert (await api.apply(api.path("deployments", "web", group="apps/v1"), body, "alpha")).status >= 400


async def test_custom_resources_are_applied(api: Api, widgets: str) -> None:
    """The schema of a custom resource says how its lists merge."""
    group, path = widgets.removesuffix("/v1"), api.path("widgets", "one", group=widgets)
    (await api.apply(path, widget(group, items=[{"name": "a", "weight": 1}]), "alpha")).ok()
    part = widget(group, items=[{"name": "b", "weight": 2}])

    both = (await api.apply(path, part, "beta")).ok()
    assert [item["name"] for item in both["spec"]["items"]] == ["a", "b"]

    body = widget(group, items=[{"name": "a", "weight": 9}])
    reply = await api.apply(path, body, "beta")
    reply.failed(409, "Conflict")
    assert reply.cause_fields() == ['.spec.items[name="a"].weight']


async def test_writers_are_told_apart(api: Api) -> None:
    """POST and PATCH record their manager as Update, by the client's name if it gives none."""
    headers = {"User-Agent": "checker/1.0 (test)"}
    made = (await api.post(api.path("configmaps"), config_map(), headers=headers)).ok()
    fields = owned_by(made, "checker", "Update")
    assert fields is not None
    assert "f:a" in fields["f:data"]

    changed = await api.patch(
        api.path("configmaps", "settings"), {"data": {"a": "2"}}, params={"fieldManager": "ed"}
    )
    assert owned_by(changed.ok(), "ed", "Update") == {"f:data": {"f:a": {}}}


async def test_tracking_can_be_reset(api: Api) -> None:
    """managedFields: [{}] forgets all owners; the next apply finds what was there before."""
    (await apply(api, "alpha", a="1")).ok()
    path = api.path("configmaps", "prefs")

    reset = (await api.patch(path, {"metadata": {"managedFields": [{}]}})).ok()
    assert not reset["metadata"].get("managedFields")
    body = (await apply(api, "beta", a="2")).failed(409, "Conflict")
    assert '"before-first-apply"' in body["message"]


async def test_the_status_is_applied_apart(api: Api, widgets: str) -> None:
    """Apply to /status owns and changes the status only."""
    group, path = widgets.removesuffix("/v1"), api.path("widgets", "one", group=widgets)
    (await api.apply(path, widget(group), "alpha")).ok()
    head = {"apiVersion": widgets, "kind": "Widget", "metadata": {"name": "one"}}

    changed = (await api.apply(f"{path}/status", head | {"status": {"phase": "Ready"}}, "beta")).ok()

    assert changed["status"] == {"phase": "Ready"}
    assert changed["spec"]["size"] == 3
