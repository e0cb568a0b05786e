"""Is a schema structural? The checks a server makes when a CustomResourceDefinition is written.

Every field has a type, logical junctors only restrict what is already there, lists say how they merge, and
defaults fit their own schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.causes import Cause, forbidden, invalid, not_supported, required
from flagger.sandbox.apiserver.types.schema.completion import completion
from flagger.sandbox.apiserver.types.schema.validation import validation

Schema = Mapping[str, Any]
Check = Callable[[Schema, str], Iterator[Cause]]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
ROOT, ITEM, MEMBER = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING = ({"type": "integer"}, {"type": "string"})
ONLY_OUTSIDE: Mapping[str, str] = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
}
"""Keywords that may not appear below anyOf, allOf, oneOf and not."""


def check(schema: Schema, field: str) -> Iterator[Cause]:
    """Yield what keeps a schema from being structural."""
    yield from _node(schema, field, ROOT)


def _node(schema: Schema, field: str, level: str) -> Iterator[Cause]:
    for one in (_known, _types, _merging, _defaults):
        yield from one(schema, field)
    yield from _missing_type(schema, field, level)
    if level == ROOT:
        yield from _root(schema, field)
    yield from _junctors(schema, field)
    for name, member in (schema.get("properties") or {}).items():
        if level != ROOT or name != "metadata":
            yield from _node(member, f"{field}.properties[{name}]", MEMBER)
    if isinstance(schema.get("items"), Mapping):
        yield from _node(schema["items"], f"{field}.items", ITEM)
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _node(schema["additionalProperties"], f"{field}.additionalProperties", MEMBER)


def _known(schema: Schema, field: str) -> Iterator[Cause]:
    yield from (
        forbidden(f"{field}.{name}", f"{name} is not supported") for name in NOT_SUPPORTED if schema.get(name)
    )
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{field}.uniqueItems", text)
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{field}.items", "items must be a schema object and not an array")
    if "properties" in schema and "additionalProperties" in schema:
        text = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{field}.additionalProperties", text)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{field}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if schema.get("pattern"):
        try:
            re.compile(schema["pattern"])
        except re.error as error:
            text = f"must be a valid regular expression, but isn't: {error}"
            yield invalid(f"{field}.pattern", schema["pattern"], text)


def _types(schema: Schema, field: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    if kind and kind not in TYPES:
        yield not_supported(f"{field}.type", kind, TYPES)
    if kind == "array" and "items" not in schema:
        yield required(f"{field}.items", "must be specified")
    if schema.get("x-kubernetes-embedded-resource"):
        yield from _embedded(schema, field)
    if schema.get("x-kubernetes-int-or-string"):
        for name in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(name):
                yield invalid(f"{field}.{name}", True, "must be false if x-kubernetes-int-or-string is true")


def _embedded(schema: Schema, field: str) -> Iterator[Cause]:
    text = "must be object if x-kubernetes-embedded-resource is true"
    if schema.get("type") != "object":
        kind = schema.get("type")
        yield invalid(f"{field}.type", kind, text) if kind else required(f"{field}.type", text)
    if "additionalProperties" in schema:
        text = "must not be used if x-kubernetes-embedded-resource is set"
        yield forbidden(f"{field}.additionalProperties", text)
    if not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("properties"):
        rule = "must not be empty if x-kubernetes-embedded-resource is true"
        yield required(f"{field}.properties", f"{rule} without x-kubernetes-preserve-unknown-fields")


def _missing_type(schema: Schema, field: str, level: str) -> Iterator[Cause]:
    free = (
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
    )
    if not schema.get("type") and not any(schema.get(name) for name in free):
        yield required(f"{field}.type", f"must not be empty {level}")


def _root(schema: Schema, field: str) -> Iterator[Cause]:
    kind = schema.get("type")
    if kind and kind != "object":
        yield invalid(f"{field}.type", kind, "must be object at the root")
    if "additionalProperties" in schema:
        yield forbidden(f"{field}.additionalProperties", "must not be used at the root")
    if schema.get("nullable"):
        yield forbidden(f"{field}.nullable", "nullable cannot be true at the root")
    members = schema.get("properties") or {}
    for name, wanted in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        if name in members and members[name].get("type") != wanted:
            place = f"{field}.properties[{name}].type"
            yield invalid(place, members[name].get("type", ""), f"must be {wanted}")
    described = set((members.get("metadata") or {}).get("properties") or ())
    if described - {"name", "generateName"}:
        text = (
            "must not specify anything other than name and generateName, but metadata is implicitly specified"
        )
        yield forbidden(f"{field}.properties[metadata]", text)


def _junctors(schema: Schema, field: str) -> Iterator[Cause]:
    for name in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(name) or ()):
            yield from _restriction(inner, f"{field}.{name}[{index}]", schema)
    if schema.get("not"):
        yield from _restriction(schema["not"], f"{field}.not", schema)


def _restriction(inner: Schema, field: str, outer: Schema) -> Iterator[Cause]:
    """Check a schema below a junctor: it may only restrict values of the schema outside."""
    free = outer.get("x-kubernetes-int-or-string")
    allowed = {"type"} if free and inner in INT_OR_STRING else set()
    for name, text in ONLY_OUTSIDE.items():
        if name in inner and name not in allowed and not _nested_int_or_string(inner, name, free=bool(free)):
            yield forbidden(f"{field}.{name}", text)
    yield from _junctors(dict(inner) | {"x-kubernetes-int-or-string": free}, field)
    members = outer.get("properties") or {}
    for name, member in (inner.get("properties") or {}).items():
        yield from _restriction(member, f"{field}.properties[{name}]", members.get(name) or {})
    if isinstance(inner.get("items"), Mapping):
        yield from _restriction(inner["items"], f"{field}.items", outer.get("items") or {})


def _nested_int_or_string(inner: Schema, name: str, *, free: bool) -> bool:
    return free and name == "type" and tuple(inner.get("anyOf") or ()) == INT_OR_STRING


def _merging(schema: Schema, field: str) -> Iterator[Cause]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if kind is not None and kind not in {"atomic", "set", "map"}:
        yield not_supported(f"{field}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
    if kind is not None and schema.get("type") != "array":
        yield _must_be(schema, field, "array", "x-kubernetes-list-type")
    if keys and kind != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield (
            invalid(f"{field}.x-kubernetes-list-type", kind, text)
            if kind
            else required(f"{field}.x-kubernetes-list-type", text)
        )
    if kind == "map":
        yield from _map_list(schema, field, keys or ())
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None and map_type not in {"atomic", "granular"}:
        yield not_supported(f"{field}.x-kubernetes-map-type", map_type, ("atomic", "granular"))
    if map_type is not None and schema.get("type") != "object":
        yield _must_be(schema, field, "object", "x-kubernetes-map-type")


def _must_be(schema: Schema, field: str, wanted: str, because: str) -> Cause:
    text = f"must be {wanted} if {because} is specified"
    kind = schema.get("type")
    return invalid(f"{field}.type", kind, text) if kind else required(f"{field}.type", text)


def _map_list(schema: Schema, field: str, keys: Sequence[str]) -> Iterator[Cause]:
    if not keys:
        yield required(
            f"{field}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"
        )
    items = schema.get("items")
    if not isinstance(items, Mapping):
        yield required(f"{field}.items", "must have a schema if x-kubernetes-list-type is map")
        return
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        yield invalid(f"{field}.items.type", items.get("type", ""), text)
    members = items.get("properties") or {}
    if any(key not in members for key in keys):
        yield invalid(
            f"{field}.x-kubernetes-list-map-keys", list(keys), "entries must all be names of item properties"
        )
    for key in keys:
        if key in members and key not in (items.get("required") or ()) and "default" not in members[key]:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{field}.items.properties[{key}].default", text)


def _defaults(schema: Schema, field: str) -> Iterator[Cause]:
    if schema.get("default") is None:
        return
    found: list[Cause] = []
    validation(schema)(completion(schema)(schema["default"]), "", found)
    for cause in found:
        place = (
            f"{field}.default.{cause.field}" if cause.field and cause.field != "<nil>" else f"{field}.default"
        )
        yield Cause(cause.reason, cause.message, place)
