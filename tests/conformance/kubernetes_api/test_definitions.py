"""The life of custom resource definitions."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.conftest import served
from tests.conformance.kubernetes_api.objects import a_group, widget, widget_definition
from tests.conformance.kubernetes_api.servers import Api, until

Object = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def conditions(crd: Object) -> dict[str, str]:
    """Type → status of the conditions."""
    return {item["type"]: item["status"] for item in crd.get("status", {}).get("conditions") or ()}


async def test_a_definition_becomes_established(api: Api) -> None:
    """Within two seconds it is established, in discovery, and its resource is served."""
    group = a_group()
    assert (await api.get(f"/apis/{group}/v1/widgets")).status == 404

    made = (await api.post(CRDS, widget_definition(group))).ok()
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["names"]["listKind"] == "WidgetList"
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"]["storedVersions"] == ["v1"]

    async def established() -> Object | None:
        crd = (await api.get(f"{CRDS}/widgets.{group}")).ok()
        return crd if conditions(crd).get("Established") == "True" else None

    crd = await until(established, "established", 2)
    assert conditions(crd)["NamesAccepted"] == "True"
    assert crd["status"]["acceptedNames"]["kind"] == "Widget"
    await served(api, f"{group}/v1")
    groups = (await api.get("/apis")).ok()["groups"]
    assert group in [item["name"] for item in groups]
    resources = (await api.get(f"/apis/{group}/v1")).ok()["resources"]
    assert {"widgets", "widgets/status", "widgets/scale"} <= {item["name"] for item in resources}
    (await api.delete(f"{CRDS}/widgets.{group}")).ok()


async def test_names_are_taken_once(api: Api) -> None:
    """A second definition with a short name in use is not accepted, and not served."""
    group = a_group()
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}
    (await api.post(CRDS, widget_definition(group, names=names))).ok()
    await served(api, f"{group}/v1")
    other = widget_definition(group, names={"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd"]})
    other["metadata"]["name"] = f"gadgets.{group}"
    (await api.post(CRDS, other)).ok()

    async def refused() -> Object | None:
        crd = (await api.get(f"{CRDS}/gadgets.{group}")).ok()
        return crd if conditions(crd).get("NamesAccepted") == "False" else None

    crd = await until(refused, "the name is refused")
    assert conditions(crd)["Established"] == "False"
    reasons = {item["type"]: item["reason"] for item in crd["status"]["conditions"]}
    assert reasons == {"NamesAccepted": "ShortNamesConflict", "Established": "NotAccepted"}
    assert (await api.get(f"/apis/{group}/v1/gadgets")).status == 404
    for name in ("widgets", "gadgets"):
        await api.delete(f"{CRDS}/{name}.{group}")


async def test_deleting_a_definition(api: Api, widgets: str) -> None:
    """Its instances go first, respecting their finalizers; then it goes, and its paths with it."""
    group = widgets.removesuffix("/v1")
    await api.create("widgets", widget(group), group=widgets)
    held = widget(group, "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await api.create("widgets", held, group=widgets)

    marked = (await api.delete(f"{CRDS}/widgets.{group}")).ok()
    assert marked["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await api.gone(api.path("widgets", "one", group=widgets))
    reply = await api.post(api.path("widgets", group=widgets), widget(group, "new"))
    assert "definition is terminating" in reply.failed(405)["message"]
    kept = (await api.get(api.path("widgets", "held", group=widgets))).ok()
    assert kept["metadata"]["deletionTimestamp"]
    assert conditions((await api.get(f"{CRDS}/widgets.{group}")).ok())["Terminating"] == "True"

    (await api.patch(api.path("widgets", "held", group=widgets), {"metadata": {"finalizers": []}})).ok()
    await api.gone(f"{CRDS}/widgets.{group}", 20)
    await api.gone(f"/apis/{widgets}/widgets")
    assert group not in [item["name"] for item in (await api.get("/apis")).ok()["groups"]]


async def test_a_new_schema_changes_what_is_read(api: Api, widgets: str) -> None:
    """Defaults and pruning follow the present schema without rewriting instances."""
    group = widgets.removesuffix("/v1")
    made = await api.create("widgets", widget(group, nested={}), group=widgets)
    assert made["spec"]["nested"] == {"deep": "d"}
    spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
    change = [
        {"op": "add", "path": f"{spec}/shape", "value": {"type": "string", "default": "round"}},
        {"op": "remove", "path": f"{spec}/color"},
    ]
    (await api.patch(f"{CRDS}/widgets.{group}", change, "application/json-patch+json")).ok()

    async def changed() -> Object | None:
        found = (await api.get(api.path("widgets", "one", group=widgets))).ok()
        return found if "shape" in found["spec"] else None

    found = await until(changed, "the new schema is in force")
    assert found["spec"]["shape"] == "round"
    assert "color" not in found["spec"]
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_several_versions(api: Api) -> None:
    """An object written in one version is read in all that are served."""
    group = a_group()
    definition = widget_definition(group)
    [version] = definition["spec"]["versions"]
    definition["spec"]["versions"] = [version, version | {"name": "v2", "storage": False}]
    (await api.post(CRDS, definition)).ok()
    await served(api, f"{group}/v1")
    await served(api, f"{group}/v2")
    await api.create("widgets", widget(group), group=f"{group}/v1")

    async with api.watch(api.path("widgets", group=f"{group}/v2")) as stream:
        event = await stream.next()

    found = (await api.get(api.path("widgets", "one", group=f"{group}/v2"))).ok()
    assert found["apiVersion"] == f"{group}/v2"
    assert event is not None
    assert event["object"]["apiVersion"] == f"{group}/v2"
    (await api.delete(f"{CRDS}/widgets.{group}")).ok()


@pytest.mark.parametrize("path", ["widgets", "gadgets"])
async def test_names_of_definitions(api: Api, path: str) -> None:
    """A definition is named plural.group."""
    definition = widget_definition(a_group())
    definition["metadata"]["name"] = f"{path}.other.example.com"

    (await api.post(CRDS, definition)).failed(422, "Invalid")
