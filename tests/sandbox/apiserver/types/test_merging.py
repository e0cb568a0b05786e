"""How lists and objects merge, for strategic patches and for apply."""

import pytest

from flagger.sandbox.apiserver.types.merging import ATOMIC, GRANULAR, SET, ListType
from tests.sandbox.apiserver.types.builders import built_in, widgets

DEPLOYMENTS = built_in("apps", "v1", "deployments")
CONTAINERS = "spec.template.spec.containers"
TCP = {"protocol": "TCP"}


def by(*keys: str, **defaults: str) -> ListType:
    """A list that merges by keys."""
    return ListType("map", keys, defaults)


DEPLOYMENT_PATHS = [
    ("metadata.labels", None, GRANULAR),
    ("metadata.finalizers", "", SET),
    ("metadata.ownerReferences", "uid", by("uid")),
    ("metadata.managedFields", None, ATOMIC),
    ("spec", None, GRANULAR),
    ("spec.selector", None, ATOMIC),
    ("spec.strategy", None, GRANULAR),
    (CONTAINERS, "name", by("name")),
    (f"{CONTAINERS}.ports", "containerPort", by("containerPort", "protocol", **TCP)),
    (f"{CONTAINERS}.env", "name", by("name")),
    (f"{CONTAINERS}.env.valueFrom", None, GRANULAR),
    (f"{CONTAINERS}.env.valueFrom.configMapKeyRef", None, ATOMIC),
    (f"{CONTAINERS}.volumeMounts", "mountPath", by("mountPath")),
    (f"{CONTAINERS}.args", None, ATOMIC),
    (f"{CONTAINERS}.envFrom", None, ATOMIC),
    (f"{CONTAINERS}.resources.limits", None, GRANULAR),
    ("spec.template.spec.volumes", "name", by("name")),
    ("spec.template.spec.tolerations", None, ATOMIC),
    ("spec.template.spec.nodeSelector", None, ATOMIC),
    ("spec.template.spec.topologySpreadConstraints", "topologyKey", by("topologyKey", "whenUnsatisfiable")),
    ("status.conditions", "type", by("type")),
    ("nope.nope", None, ATOMIC),
]


@pytest.mark.parametrize(
    ("path", "key", "rule"), DEPLOYMENT_PATHS, ids=[case[0] for case in DEPLOYMENT_PATHS]
)
def test_deployments(path: str, key: str | None, rule: ListType) -> None:
    """Each path has the merge key of a strategic patch and the rule of server-side apply."""
    parts = tuple(path.split("."))

    assert DEPLOYMENTS.merge_keys(parts) == key
    assert DEPLOYMENTS.list_type(parts) == rule


OTHERS = [
    ("", "services", "spec.ports", "port", by("port", "protocol", **TCP)),
    ("", "services", "spec.selector", None, ATOMIC),
    ("", "configmaps", "data", None, GRANULAR),
    ("", "serviceaccounts", "secrets", "name", by("name")),
    ("", "nodes", "status.addresses", "type", by("type")),
    ("", "endpoints", "subsets", None, ATOMIC),
    ("batch", "jobs", "status.conditions", "type", ATOMIC),
    ("discovery.k8s.io", "endpointslices", "endpoints", None, ATOMIC),
    ("networking.k8s.io", "ingresses", "spec.rules", None, ATOMIC),
    ("rbac.authorization.k8s.io", "roles", "rules", None, ATOMIC),
]


@pytest.mark.parametrize(("group", "plural", "path", "key", "rule"), OTHERS, ids=[case[1] for case in OTHERS])
def test_other_kinds(group: str, plural: str, path: str, key: str | None, rule: ListType) -> None:
    """Lists of other kinds merge as their types say."""
    kind, parts = built_in(group, "v1", plural), tuple(path.split("."))

    assert kind.merge_keys(parts) == key
    assert kind.list_type(parts) == rule


def test_custom_resources() -> None:
    """Custom resources merge as their schema says: lists as a whole otherwise, objects by member."""
    element = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "zone": {"type": "string", "default": "a"}},
    }
    kind = widgets(
        {
            "type": "object",
            "properties": {
                "plain": {"type": "array", "items": element},
                "keyed": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name", "zone"],
                    "items": element,
                },
                "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "whole": {"type": "object", "x-kubernetes-map-type": "atomic"},
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    )
    expected = {
        ("spec",): GRANULAR,
        ("spec", "plain"): ATOMIC,
        ("spec", "keyed"): by("name", "zone", zone="a"),
        ("spec", "names"): SET,
        ("spec", "whole"): ATOMIC,
        ("spec", "map"): GRANULAR,
        ("spec", "map", "any"): ATOMIC,
        ("spec", "free", "any"): GRANULAR,
        ("metadata", "finalizers"): SET,
    }

    assert {path: kind.list_type(path) for path in expected} == expected
    assert kind.merge_keys(("spec", "keyed")) is None
