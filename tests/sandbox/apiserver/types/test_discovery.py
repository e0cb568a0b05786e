"""Discovery documents and OpenAPI, made from the registry."""

import json
from typing import Any

import pytest

from flagger.sandbox.apiserver.types import discovery
from flagger.sandbox.apiserver.types.openapi import OpenApi
from flagger.sandbox.apiserver.types.registry import Registry, priority
from tests.sandbox.apiserver.types.builders import Object, a_registry, definition, samples

RECORDED = samples("discovery")
WIDGETS = next(item["sent"] for item in samples("created") if item["name"] == "crd-create")


def resources(document: Any, *dropped: str) -> list[Object]:
    """The resources of a document without members that are free or came later."""
    return [
        {key: value for key, value in item.items() if key not in dropped} for item in document["resources"]
    ]


@pytest.mark.parametrize(
    ("name", "group", "version"),
    [("discovery-apps-v1", "apps", "v1"), ("crd-discovery", "example.com", "v1")],
)
def test_group_versions(name: str, group: str, version: str) -> None:
    """A group version is described as by a real server; singular names of built-in kinds came later."""
    document = discovery.api_resources(a_registry(WIDGETS), group, version)

    free = ("storageVersionHash", "singularName")
    assert resources(document, *free) == resources(RECORDED["classic"][name], *free)


def test_groups() -> None:
    """Groups name their versions; the newest is preferred; there is no group without a name."""
    document = discovery.api_groups(Registry())

    groups = {group["name"]: group for group in document["groups"]}
    assert "" not in groups
    assert [item["version"] for item in groups["autoscaling"]["versions"]] == ["v2", "v1"]
    assert groups["autoscaling"]["preferredVersion"]["groupVersion"] == "autoscaling/v2"
    assert discovery.api_group(Registry(), "apps") == RECORDED["classic"]["discovery-apps-group"]
    assert discovery.api_group(Registry(), "nope") is None
    assert discovery.api_resources(Registry(), "apps", "v9") is None


def test_the_core_group_is_historical() -> None:
    """Its documents have no apiVersion."""
    recorded = RECORDED["classic"]["discovery-api-versions"]

    assert discovery.api_versions("127.0.0.1:6443") == recorded
    assert "apiVersion" not in (discovery.api_resources(Registry(), "", "v1") or {})


@pytest.mark.parametrize(("core", "name"), [(True, "api"), (False, "apis")])
def test_aggregated_discovery(core: bool, name: str) -> None:
    """The aggregated form has the resources of the recorded one, with the kinds spelt out."""
    document = discovery.aggregated(a_registry(WIDGETS), core=core, version="v2")

    found = {
        (group["metadata"].get("name", ""), version["version"], item["resource"]): item
        for group in document["items"]
        for version in group["versions"]
        for item in version["resources"]
    }
    for group in RECORDED["aggregated"][name]["items"]:
        for version in group["versions"]:
            for item in version["resources"]:
                made = found[(group["metadata"].get("name", ""), version["version"], item["resource"])]
                assert_covers(made, item)


def assert_covers(made: Object, recorded: Object) -> None:
    """The recorded resource is there, with all its verbs, names and subresources."""
    for key in ("scope", "singularResource", "verbs", "shortNames", "categories"):
        assert made.get(key) == recorded.get(key), key
    below = {item["subresource"]: item["verbs"] for item in made.get("subresources", [])}
    expected = {item["subresource"]: item["verbs"] for item in recorded.get("subresources", [])}
    assert expected.items() <= below.items()


def test_definitions_come_and_go() -> None:
    """A definition adds one type per served version; a changed one replaces it; removing it leaves nothing."""
    crd = definition()
    crd["spec"]["versions"].append(crd["spec"]["versions"][0] | {"name": "v1beta1", "storage": False})
    registry = a_registry(crd)

    assert registry.versions()["example.com"] == ("v1", "v1beta1")
    assert registry.by_kind("example.com", "v1", "Widget") is registry.lookup("example.com", "v1", "widgets")
    assert {item.storage_version for item in registry.same_storage("widgets.example.com")} == {
        "example.com/v1"
    }

    crd["spec"]["versions"][1]["served"] = False
    registry.add_crd(crd)
    assert registry.lookup("example.com", "v1beta1", "widgets") is None

    registry.remove_crd("widgets.example.com")
    assert "example.com" not in registry.versions()


def test_versions_have_an_order() -> None:
    """Stable before beta before alpha, newer before older, strange names last."""
    names = ["odd", "v1alpha1", "v1", "v2beta1", "v1beta2", "v2", "v1beta10"]

    assert sorted(names, key=priority, reverse=True) == [
        "v2",
        "v1",
        "v2beta1",
        "v1beta10",
        "v1beta2",
        "v1alpha1",
        "odd",
    ]


def schemas(document: Any) -> Object:
    """The components of an OpenAPI document."""
    found: Object = document["components"]["schemas"]
    return found


def test_openapi_index_changes_with_its_documents() -> None:
    """The URL of a group version changes when its resources do, and only then."""
    registry = Registry()
    documents = OpenApi(registry)
    before = documents.index()["paths"]

    registry.add_crd(WIDGETS)
    after = documents.index()["paths"]

    assert {path: after[path] for path in before} == before
    assert "apis/example.com/v1" in after
    assert documents.document("apis/apps/v9") is None


def test_openapi_documents_are_closed() -> None:
    """Every reference leads to a component of the same document."""
    documents = OpenApi(a_registry(WIDGETS))
    for path in documents.paths():
        text = documents.document(path)
        assert text is not None
        known = {f"#/components/schemas/{name}" for name in schemas(json.loads(text))}
        used = {part.split('"', 1)[0] for part in text.decode().split('"$ref":"')[1:]}
        assert used <= known, path


def test_openapi_says_how_to_merge_and_what_is_required() -> None:
    """Types carry their kind, lists their merge keys, objects their required members."""
    text = OpenApi(Registry()).document("apis/apps/v1")
    assert text is not None
    found = schemas(json.loads(text))

    kinds = found["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    containers = found["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert found["io.k8s.api.apps.v1.DeploymentSpec"]["required"] == ["selector", "template"]
    assert found["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]["x-kubernetes-map-type"] == "atomic"


def test_openapi_of_custom_resources() -> None:
    """A custom resource is described by its schema, and by what every object has."""
    text = OpenApi(a_registry(WIDGETS)).document("apis/example.com/v1")
    assert text is not None
    document = json.loads(text)

    widget = schemas(document)["com.example.v1.Widget"]
    assert widget["properties"]["spec"]["properties"]["size"]["maximum"] == 10
    assert widget["properties"]["metadata"]["$ref"].endswith("ObjectMeta")
    [patch] = [path["patch"] for path in document["paths"].values() if "patch" in path]
    assert patch["parameters"][0]["name"] == "fieldValidation"
