"""Builders of valid objects; a test names only what it is about."""

import copy
import itertools
from typing import Any

Object = dict[str, Any]
_groups = itertools.count(1)


def config_map(name: str = "settings", /, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"a": "1"} if data is None else data,
    }


def pod_template(labels: dict[str, str], **container: Any) -> Object:
    """A template with one container `app`."""
    app = {"name": "app", "image": "registry.local/checkout:1.0.0", **container}
    return {"metadata": {"labels": labels}, "spec": {"containers": [app]}}


def deployment(name: str = "checkout", /, **spec: Any) -> Object:
    """A Deployment that is paused, so that no controller touches it."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "paused": True,
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": pod_template(labels),
            **spec,
        },
    }


def pod(name: str = "web", /, containers: list[Object] | None = None, **metadata: Any) -> Object:
    """A Pod with one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": containers or [{"name": "app", "image": "registry.local/checkout:1.0.0"}]},
    }


def service(name: str = "web", /, **spec: Any) -> Object:
    """A Service with one port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def lease(name: str = "op", /, **spec: Any) -> Object:
    """A Lease."""
    times = {"acquireTime": "2026-01-02T03:04:05.000000Z", "renewTime": "2026-01-02T03:04:05.000000Z"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": "op-1", "leaseDurationSeconds": 15, **times, **spec},
    }


WIDGET_SPEC: Object = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "color": {"type": "string", "default": "red", "enum": ["red", "green"]},
        "replicas": {"type": "integer", "default": 1},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "nested": {"type": "object", "properties": {"deep": {"type": "string", "default": "d"}}},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "default": 50}},
            },
        },
    },
}
WIDGET_STATUS: Object = {
    "type": "object",
    "properties": {
        "phase": {"type": "string"},
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
    },
}


def widget_definition(group: str, **changes: Any) -> Object:
    """The definition of Widgets in a group, with status, scale and printer columns."""
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": WIDGET_SPEC, "status": WIDGET_STATUS},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": copy.deepcopy(schema)},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        ],
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version], **changes},
    }


def a_group() -> str:
    """An API group that no other test uses."""
    return f"g{next(_groups)}.example.com"


def widget(group: str, name: str = "one", /, **spec: Any) -> Object:
    """A Widget."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 3, **spec},
    }
