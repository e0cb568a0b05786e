"""The CustomResourceDefinitions: what upstream's say, and what a structural schema has to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.crds import manifests, to_yaml, write
from flagger.api.model import Model
from flagger.api.structural import object_schema

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "crds"
BY_KIND = {manifest["spec"]["names"]["kind"]: manifest for manifest in manifests()}
Schema = dict[str, Any]


def root(kind: str) -> Schema:
    """The schema of a whole object."""
    schema: Schema = BY_KIND[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every place of a schema with its path; `[]` is an item of a list, `*` any key of a map."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def at(kind: str, path: str) -> Schema:
    """The schema of one place."""
    return dict(nodes(root(kind)))[path]


def leaves(kind: str) -> list[str]:
    """Every field that holds a value, with its type."""
    return [
        f"{path} {node.get('type', 'int-or-string')}"
        for path, node in nodes(root(kind))
        if path.startswith(("spec.", "status.")) and node.get("type") not in {"object", "array"}
    ]


def golden(name: str) -> list[str]:
    """The lines of one list of fields."""
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("manifest", manifests(), ids=lambda manifest: manifest["spec"]["names"]["plural"])
def test_files_are_up_to_date(manifest: dict[str, Any]) -> None:
    """`make crds` was run after the last change of a model."""
    path = ROOT / "deploy" / "crds" / f"{manifest['spec']['names']['plural']}.yaml"

    assert path.read_text(encoding="utf-8") == to_yaml(manifest)


def test_writes_what_it_says(tmp_path: Path) -> None:
    """The files hold the definitions, one each, in a new directory if need be."""
    write(tmp_path / "new")

    files = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in files] == ["alertproviders.yaml", "canaries.yaml", "metrictemplates.yaml"]
    assert [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files] == sorted(
        manifests(), key=lambda manifest: str(manifest["metadata"]["name"])
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Canary", [*golden("canary-fields"), *golden("canary-additions")]),
        ("MetricTemplate", golden("metrictemplate-fields")),
        ("AlertProvider", golden("alertprovider-fields")),
    ],
)
def test_has_every_field_and_no_other(kind: str, fields: list[str]) -> None:
    """The fields are upstream's, with upstream's types, and the additions listed apart."""
    assert sorted(leaves(kind)) == sorted(fields)


@pytest.mark.parametrize(
    ("kind", "plural", "columns"),
    [
        (
            "Canary",
            "canaries",
            [
                ("Status", ".status.phase", "string", 0),
                ("Weight", ".status.canaryWeight", "string", 0),
                ("Suspended", ".spec.suspend", "boolean", 1),
                ("FailedChecks", ".status.failedChecks", "string", 1),
                ("Interval", ".spec.analysis.interval", "string", 1),
                ("Mirror", ".spec.analysis.mirror", "boolean", 1),
                ("StepWeight", ".spec.analysis.stepWeight", "string", 1),
                ("StepWeights", ".spec.analysis.stepWeights", "string", 1),
                ("MaxWeight", ".spec.analysis.maxWeight", "string", 1),
                ("LastTransitionTime", ".status.lastTransitionTime", "string", 0),
            ],
        ),
        ("MetricTemplate", "metrictemplates", [("Provider", ".spec.provider.type", "string", 0)]),
        ("AlertProvider", "alertproviders", [("Type", ".spec.type", "string", 0)]),
    ],
)
def test_envelope(kind: str, plural: str, columns: list[tuple[str, str, str, int]]) -> None:
    """Names, version, subresource, category, annotation and columns are those that clusters know."""
    manifest = BY_KIND[kind]
    spec, (version,) = manifest["spec"], manifest["spec"]["versions"]

    assert manifest["metadata"] == {
        "name": f"{plural}.flagger.app",
        "annotations": {"helm.sh/resource-policy": "keep"},
    }
    assert spec["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "categories": ["all"],
    }
    assert set(spec) == {"group", "scope", "names", "versions"}
    assert (spec["group"], spec["scope"]) == ("flagger.app", "Namespaced")
    assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
    assert version["subresources"] == {"status": {}}
    assert [
        (column["name"], column["jsonPath"], column["type"], column.get("priority", 0))
        for column in version["additionalPrinterColumns"]
    ] == columns


@pytest.mark.parametrize("kind", BY_KIND)
def test_is_structural(kind: str) -> None:
    """Every node has one type, nothing is referenced or null, objects are either records or maps."""
    for path, node in nodes(root(kind)):
        assert ("type" in node) != node.get("x-kubernetes-int-or-string", False), path
        assert not {"$ref", "anyOf", "allOf", "const", "title", "definitions"} & set(node), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert not node.get("uniqueItems"), path
        assert not _typed(node.get("oneOf", [])), path
        assert "nullable" not in node or path == "spec.service.mirror[].backendRef.group"


def _typed(alternatives: Any) -> bool:
    """Say whether something inside `oneOf` says more than what must be present."""
    match alternatives:
        case dict():
            forbidden = {"type", "default", "description", "additionalProperties", "nullable"}
            return bool(forbidden & set(alternatives)) or any(map(_typed, alternatives.values()))
        case list():
            return any(map(_typed, alternatives))
        case _:
            return False


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_field_is_explained(kind: str) -> None:
    """`kubectl explain` has a sentence for every field."""
    for path, node in nodes(root(kind)):
        inside = path.endswith(("[]", "*"))
        assert inside or path == "metadata" or node["description"].endswith("."), path


def test_nothing_is_required_at_the_root() -> None:
    """An object without `spec` is stored, as upstream has it."""
    for kind in BY_KIND:
        assert "required" not in root(kind)
        assert ("status" in root(kind)["properties"]) == (kind == "Canary")


def test_defaults_are_on_five_leaves() -> None:
    """The server fills in these and nothing else."""
    defaults = {path: node["default"] for path, node in nodes(root("Canary")) if "default" in node}

    assert defaults == {
        "spec.service.gatewayRefs[].group": "gateway.networking.k8s.io",
        "spec.service.gatewayRefs[].kind": "Gateway",
        "spec.service.mirror[].backendRef.group": "",
        "spec.service.mirror[].backendRef.kind": "Service",
        "spec.analysis.sessionAffinity.maxAge": 86400,
    }
    assert not [path for kind in list(BY_KIND)[1:] for path, node in nodes(root(kind)) if "default" in node]


@pytest.mark.parametrize(
    ("path", "required"),
    [
        ("spec", ["targetRef", "analysis"]),
        ("spec.targetRef", ["apiVersion", "kind", "name"]),
        ("spec.autoscalerRef", ["apiVersion", "kind", "name"]),
        ("spec.ingressRef", ["apiVersion", "kind", "name"]),
        ("spec.routeRef", ["apiVersion", "kind", "name"]),
        ("spec.upstreamRef", ["apiVersion", "kind", "name"]),
        ("spec.service", ["port"]),
        ("spec.service.mirror[].backendRef", ["name"]),
        ("spec.service.gatewayRefs[]", ["name"]),
        ("spec.analysis.metrics[]", ["name"]),
        ("spec.analysis.metrics[].templateRef", ["name"]),
        ("spec.analysis.webhooks[]", ["name", "url"]),
        ("spec.analysis.alerts[]", ["name", "providerRef"]),
        ("spec.analysis.alerts[].providerRef", ["name"]),
        ("spec.analysis.sessionAffinity", ["cookieName"]),
        ("status.conditions[]", ["type", "status", "reason"]),
    ],
)
def test_requires(path: str, required: list[str]) -> None:
    """These fields must be given where their object is."""
    assert at("Canary", path)["required"] == required


def test_requires_nothing_else() -> None:
    """The table above is complete."""
    assert len([path for path, node in nodes(root("Canary")) if "required" in node]) == 16
    assert {path: node["required"] for path, node in nodes(root("MetricTemplate")) if "required" in node} == {
        "spec": ["provider", "query"],
        "spec.provider": ["type"],
        "spec.provider.secretRef": ["name"],
    }


def test_enumerations() -> None:
    """Closed sets of values are upstream's; two spaces before the first mean that the empty text is one."""
    found = [
        f"{kind} {path} = {' '.join(node['enum'])}"
        for kind in BY_KIND
        for path, node in nodes(root(kind))
        if "enum" in node
    ]
    assert found == golden("enums")


def test_int_or_string_and_formats() -> None:
    """One int-or-string; integers that upstream declares with 32 bits say so; times are date-times."""
    found = {(path, node.get("format")) for path, node in nodes(root("Canary")) if "format" in node}

    assert at("Canary", "spec.service.targetPort")["x-kubernetes-int-or-string"] is True
    assert ("spec.service.retries.attempts", "int32") in found
    assert ("spec.service.gatewayRefs[].port", "int32") in found
    assert ("status.lastTransitionTime", "date-time") in found
    assert {kind for _, kind in found} == {"int32", "date-time"}


def test_three_durations_have_a_pattern() -> None:
    """The pattern is anchored at the start only, as upstream's is."""
    patterns = {
        path: node["pattern"] for path, node in nodes(root("Canary")) if "(m|s)" in node.get("pattern", "")
    }
    assert patterns == dict.fromkeys(
        ("spec.analysis.interval", "spec.analysis.metrics[].interval", "spec.analysis.webhooks[].timeout"),
        "^[0-9]+(m|s)",
    )


def test_a_mirror_to_a_service_needs_a_port() -> None:
    """The one rule that only newer servers know; older ones drop it and the controller judges."""
    (rule,) = at("Canary", "spec.service.mirror[].backendRef")["x-kubernetes-validations"]

    assert rule["message"] == "Must have port for Service reference"
    assert len([1 for _, node in nodes(root("Canary")) if "x-kubernetes-validations" in node]) == 1


def test_refuses_a_type_without_a_schema() -> None:
    """A model with a field that no structural schema can describe is a mistake of ours, found at once."""

    class Odd(Model):
        """Not describable."""

        value: int | bool
        """A choice."""

    with pytest.raises(TypeError, match="no structural schema"):
        object_schema(Odd)
