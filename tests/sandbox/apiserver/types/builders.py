"""Objects, definitions and recorded samples that the tests of the types share."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import ResourceType

Object = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREATED = "2026-01-02T03:04:05Z"
VERSIONS = {"autoscaling/v2beta2": "autoscaling/v2", "discovery.k8s.io/v1beta1": "discovery.k8s.io/v1"}
"""Versions of the recorded server → versions that are served here."""
_PATH = re.compile(
    r"/(?:api|apis)/(?P<group>[a-z0-9.]+/)?(?P<version>v[a-z0-9]+)/(?:namespaces/(?P<ns>[^/]+)/)?(?P<plural>[a-z]+)"
)


def samples(name: str) -> Any:
    """A file of recorded exchanges with a real server."""
    return json.loads(Path(__file__).with_name("samples").joinpath(f"{name}.json").read_text())


def a_registry(*definitions: Object) -> Registry:
    """A registry with the given CustomResourceDefinitions."""
    registry = Registry()
    for definition in definitions:
        registry.add_crd(definition)
    return registry


def resource(registry: Registry, path: str) -> tuple[ResourceType, str]:
    """The resource type and namespace of a URL."""
    match = _PATH.match(path)
    assert match is not None, path
    wanted = (match["group"] or "") + match["version"]
    group, _, version = VERSIONS.get(wanted, wanted).rpartition("/")
    found = registry.lookup(group, version, match["plural"])
    assert found is not None, path
    return found, match["ns"] or ""


def placed(kind: ResourceType, namespace: str, obj: Object, **metadata: Any) -> Object:
    """An object the way the server hands it to its type: named, placed and stamped."""
    stamped = {"uid": "u-1", "creationTimestamp": CREATED} | ({"namespace": namespace} if namespace else {})
    about = stamped | obj.get("metadata", {}) | metadata
    return obj | {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": about}


def definition(schema: Object | None = None, **version: Any) -> Object:
    """The definition of Widgets with the given schema of `spec`, and changes to its one version."""
    whole = {
        "type": "object",
        "properties": {"spec": schema or {"type": "object"}, "status": {"type": "object"}},
    }
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}} | version
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [one]},
    }


def widgets(schema: Object | None = None, **version: Any) -> ResourceType:
    """The type of Widgets."""
    found = a_registry(definition(schema, **version)).lookup("example.com", "v1", "widgets")
    assert found is not None
    return found


def widget(**spec: Any) -> Object:
    """A Widget as the server hands it to its type."""
    about = {"name": "w", "namespace": "shop", "uid": "u-1", "creationTimestamp": CREATED}
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": about, "spec": spec}


def built_in(group: str, version: str, plural: str) -> ResourceType:
    """A built-in type."""
    found = Registry().lookup(group, version, plural)
    assert found is not None
    return found


def a_deployment(**spec: Any) -> Object:
    """A stored Deployment."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "x:1"}]}}
    obj = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template} | spec,
    }
    kind = built_in("apps", "v1", "deployments")
    return kind.prepare_create(placed(kind, "shop", obj), NOW)
