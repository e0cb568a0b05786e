"""OpenAPI v3: the index and a document per group version, made from the field table and from CRDs.

kubectl reads them for `explain`, and to learn that the server validates fields (`fieldValidation` on patch).
Component names follow the real ones; operations are reduced to what clients look at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from flagger.sandbox.apiserver.types.decoding import fields_of
from flagger.sandbox.apiserver.types.merging import (
    ATOMIC_MAPS,
    ATOMIC_MESSAGES,
    ListType,
    list_type,
    merge_key,
)
from flagger.sandbox.apiserver.types.messages import Field
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import ResourceType

Object = dict[str, Any]

VERSION = "v1.32.0"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
PACKAGES: Mapping[str, str] = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    "autoscaling.v1": "io.k8s.api.autoscaling.v1",
    "autoscaling.v2": "io.k8s.api.autoscaling.v2",
    "meta": META,
}
"""Prefix of a message → package in component names; others are `io.k8s.api.<prefix>.v1`."""

SPECIAL: Mapping[str, Object] = {
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "Quantity": {"type": "string", "description": "An amount such as 500m or 1Gi."},
    "IntOrString": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "RawExtension": {"type": "object"},
    "FieldsV1": {"type": "object"},
}
SPECIAL_NAMES: Mapping[str, str] = {
    "Time": f"{META}.Time",
    "MicroTime": f"{META}.MicroTime",
    "Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "RawExtension": "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "FieldsV1": f"{META}.FieldsV1",
}
PLAIN: Mapping[str, Object] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "double": {"type": "number"},
    "bytes": {"type": "string", "format": "byte"},
    "Strings": {"type": "array", "items": {"type": "string"}},
    "SchemaOrBool": {"description": "A schema, or true or false."},
    "SchemaOrList": {"description": "A schema, or a list of schemas."},
    "SchemaOrNames": {"description": "A schema, or a list of names."},
}


@cache
def _descriptions() -> Mapping[str, str]:
    text = files(__package__).joinpath("data/descriptions.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, str])


def component(name: str) -> str:
    """Return the component name of a message or special type."""
    if name in SPECIAL_NAMES:
        return SPECIAL_NAMES[name]
    package, _, kind = name.rpartition(".")
    return f"{PACKAGES.get(package, f'io.k8s.api.{package}.v1')}.{kind}"


def _reference(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{component(name)}"}


def _field_schema(owner: str, field: Field) -> Object:
    schema = dict(PLAIN[field.type]) if field.type in PLAIN else _reference(field.type)
    if field.container == "[]":
        schema = {"type": "array", "items": schema} | _list_extensions(owner, field.name)
    elif field.container == "{}":
        schema = {"type": "object", "additionalProperties": schema}
        if f"{owner}.{field.name}" in ATOMIC_MAPS:
            schema["x-kubernetes-map-type"] = "atomic"
    description = _descriptions().get(f"{owner}.{field.name}") or _descriptions().get(f"*.{field.name}")
    if description:
        schema["description"] = description
    return schema


def _list_extensions(owner: str, name: str) -> Object:
    found: Object = _merge_extensions(list_type(owner, (name,)))
    key = merge_key(owner, (name,))
    if key is not None:
        found["x-kubernetes-patch-strategy"] = "merge"
        if key:
            found["x-kubernetes-patch-merge-key"] = key
    return found


def _merge_extensions(rule: ListType) -> Object:
    keys = {"x-kubernetes-list-map-keys": list(rule.keys)} if rule.keys else {}
    return {"x-kubernetes-list-type": rule.kind} | keys


def _message_schema(name: str) -> Object:
    fields = fields_of(name)
    schema: Object = {"type": "object"}
    if name in _descriptions():
        schema["description"] = _descriptions()[name]
    schema["properties"] = {field.name: _field_schema(name, field) for field in fields.values()}
    required = [field.name for field in fields.values() if field.required]
    if required:
        schema["required"] = required
    if name in ATOMIC_MESSAGES:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _components(names: Iterable[str]) -> Object:
    """Return the schemas of messages and of everything they refer to."""
    found: Object = {}
    left = list(names)
    while left:
        name = left.pop()
        if component(name) in found:
            continue
        if name in SPECIAL:
            found[component(name)] = dict(SPECIAL[name])
            continue
        found[component(name)] = _message_schema(name)
        left += [
            field.type for field in fields_of(name).values() if field.is_message or field.type in SPECIAL
        ]
    return found


def _group_version_kind(item: ResourceType) -> Object:
    return {"group": item.group, "version": item.version, "kind": item.kind}


def _custom_component(item: ResourceType) -> str:
    return f"{'.'.join(reversed(item.group.split('.')))}.{item.version}.{item.kind}"


def _custom_schema(item: ResourceType) -> Object:
    schema = dict(item.schema or {}) | {"x-kubernetes-group-version-kind": [_group_version_kind(item)]}
    properties = dict(schema.get("properties") or {})
    for name in ("apiVersion", "kind"):
        properties[name] = {"type": "string", "description": _descriptions()[f"*.{name}"]}
    properties["metadata"] = _reference("meta.ObjectMeta") | {"description": _descriptions()["*.metadata"]}
    return schema | {"type": "object", "properties": properties}


def _operation(item: ResourceType, action: str) -> Object:
    operation: Object = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _group_version_kind(item),
    }
    if action in {"patch", "put", "post"}:
        parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
        operation["parameters"] = [parameter]
    return operation | {"responses": {"200": {"description": "OK"}}}


METHODS: Mapping[str, Sequence[tuple[str, str]]] = {
    "": (("get", "list"), ("post", "create"), ("delete", "deletecollection")),
    "/{name}": (("get", "get"), ("put", "update"), ("patch", "patch"), ("delete", "delete")),
}
"""Ending of a path → (method, verb) it may have."""


def _paths(item: ResourceType) -> Object:
    root = f"/apis/{item.group}/{item.version}" if item.group else f"/api/{item.version}"
    place = f"{root}/namespaces/{{namespace}}/{item.plural}" if item.namespaced else f"{root}/{item.plural}"
    found: Object = {}
    for ending, methods in METHODS.items():
        allowed = {method: _operation(item, method) for method, verb in methods if verb in item.verbs}
        if allowed:
            found[place + ending] = allowed
    return found


def document(items: Sequence[ResourceType]) -> Object:
    """Return the document of a group version from its resources."""
    schemas = _components([item.message for item in items if item.message] or ["meta.ObjectMeta"])
    for item in items:
        if item.message:
            schemas[component(item.message)]["x-kubernetes-group-version-kind"] = [_group_version_kind(item)]
        else:
            schemas[_custom_component(item)] = _custom_schema(item)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": {path: entry for item in items for path, entry in _paths(item).items()},
        "components": {"schemas": schemas},
    }


def _same(before: Sequence[ResourceType], after: Sequence[ResourceType]) -> bool:
    return len(before) == len(after) and all(old is new for old, new in zip(before, after, strict=True))


class OpenApi:
    """The documents of a registry, encoded once and again when the resources of a group version change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, tuple[tuple[ResourceType, ...], bytes, str]] = {}

    def paths(self) -> Mapping[str, tuple[str, str]]:
        """Return path below `/openapi/v3/` → (group, version) of every group version that is served."""
        return {
            (f"apis/{group}/{version}" if group else f"api/{version}"): (group, version)
            for group, versions in self._registry.versions().items()
            for version in versions
        }

    def index(self) -> Object:
        """Return the document of `/openapi/v3`; a URL changes when its document does."""
        entries = {}
        for path, (group, version) in self.paths().items():
            _, digest = self._document(path, group, version)
            entries[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": entries}

    def document(self, path: str) -> bytes | None:
        """Return the JSON document at a path such as `apis/apps/v1`, or None."""
        place = self.paths().get(path)
        return self._document(path, *place)[0] if place else None

    def _document(self, path: str, group: str, version: str) -> tuple[bytes, str]:
        items = self._registry.group_version(group, version)
        made = self._made.get(path)
        if made is None or not _same(made[0], items):
            text = msgspec.json.encode(document(items))
            made = self._made[path] = (items, text, hashlib.sha256(text).hexdigest()[:32].upper())
        return made[1], made[2]
