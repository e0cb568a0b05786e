"""Discovery documents and OpenAPI."""

import json

import pytest

from tests.conformance.kubernetes_api.servers import Api

AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
FULL = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}


async def resources(api: Api, path: str) -> dict[str, dict[str, object]]:
    """The resources of a group version by name."""
    return {item["name"]: item for item in (await api.get(path)).ok()["resources"]}


async def test_the_core_group(api: Api) -> None:
    """/api names v1; the historical document has no apiVersion."""
    body = (await api.get("/api")).ok()

    assert body["kind"] == "APIVersions"
    assert "v1" in body["versions"]
    assert "apiVersion" not in body


async def test_every_group_has_a_preferred_version(api: Api) -> None:
    """/apis lists groups; the preferred version of each is one of its versions."""
    body = (await api.get("/apis")).ok()

    assert body["kind"] == "APIGroupList"
    assert {"apps", "batch", "autoscaling", "networking.k8s.io"} <= {
        group["name"] for group in body["groups"]
    }
    for group in body["groups"]:
        assert group["preferredVersion"] in group["versions"]


@pytest.mark.parametrize(
    ("name", "verbs"),
    [
        ("pods/log", {"get"}),
        ("pods/binding", {"create"}),
        ("pods/eviction", {"create"}),
        ("pods/status", {"get", "patch", "update"}),
        ("services/status", {"get", "patch", "update"}),
        ("serviceaccounts/token", {"create"}),
        ("namespaces/finalize", {"update"}),
        ("configmaps", FULL),
        ("namespaces", FULL - {"deletecollection"}),
    ],
)
async def test_core_resources(api: Api, name: str, verbs: set[str]) -> None:
    """The core group lists resources and subresources with their verbs."""
    found = (await resources(api, "/api/v1"))[name]

    assert set(found["verbs"]) == verbs


async def test_scale_is_of_another_group(api: Api) -> None:
    """Subresources with a kind of their own say where it belongs; daemon sets have no scale."""
    found = await resources(api, "/apis/apps/v1")

    scale = found["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert found["deployments"]["shortNames"] == ["deploy"]
    assert found["deployments"]["categories"] == ["all"]
    assert "daemonsets/scale" not in found


async def test_custom_resources_are_discovered(api: Api, widgets: str) -> None:
    """A custom resource appears with its names, and with the subresources it asks for."""
    found = await resources(api, f"/apis/{widgets}")

    assert list(found) == ["widgets", "widgets/status", "widgets/scale"]
    assert found["widgets"]["singularName"] == "widget"
    assert found["widgets"]["categories"] == ["all"]
    assert set(found["widgets"]["verbs"]) == FULL


@pytest.mark.parametrize("path", ["/api", "/apis"])
async def test_aggregated_discovery(api: Api, path: str) -> None:
    """Asked for the aggregated form, the server answers everything at once and says so."""
    api.server.needs(30)

    reply = await api.get(path, headers={"Accept": f"{AGGREGATED},application/json"})

    assert reply.ok()["kind"] == "APIGroupDiscoveryList"
    assert reply.headers["Content-Type"].endswith(";as=APIGroupDiscoveryList")
    plain = (await api.get(path)).ok()
    assert plain["kind"] in {"APIVersions", "APIGroupList"}


async def test_aggregated_discovery_tells_the_same(api: Api) -> None:
    """Both forms name the same resources and verbs."""
    api.server.needs(30)
    body = (await api.get("/apis", headers={"Accept": AGGREGATED})).ok()
    apps = next(item for item in body["items"] if item["metadata"]["name"] == "apps")["versions"][0]

    classic = await resources(api, "/apis/apps/v1")

    assert apps["freshness"] == "Current"
    for item in apps["resources"]:
        assert item["verbs"] == classic[item["resource"]]["verbs"]
        below = {f"{item['resource']}/{one['subresource']}" for one in item.get("subresources", [])}
        assert below == {name for name in classic if name.startswith(f"{item['resource']}/")}


async def test_openapi(api: Api) -> None:
    """Every built-in group version has a document, whose patch operations know fieldValidation."""
    api.server.needs(27)
    paths = (await api.get("/openapi/v3")).ok()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/autoscaling/v2"} <= set(paths)

    document = (await api.get(paths["apis/apps/v1"]["serverRelativeURL"])).ok()

    operations = [path["patch"] for path in document["paths"].values() if "patch" in path]
    described = {
        operation["x-kubernetes-group-version-kind"]["kind"]
        for operation in operations
        if any(item.get("name") == "fieldValidation" for item in operation.get("parameters", []))
    }
    assert {"Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"} <= described


async def test_openapi_refers_to_what_it_has(api: Api) -> None:
    """No reference of a document leads nowhere."""
    api.server.needs(27)
    paths = (await api.get("/openapi/v3")).ok()["paths"]

    for entry in paths.values():
        document = (await api.get(entry["serverRelativeURL"])).ok()
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        text = json.dumps(document)
        missing = {
            part.split('"', 1)[0] for part in text.split('"$ref":"')[1:] + text.split('"$ref": "')[1:]
        } - known
        assert not missing
