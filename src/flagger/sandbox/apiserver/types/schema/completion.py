"""Pruning and defaulting by a structural schema, in one pass.

Members that the schema does not mention go, unless it preserves them; members with a default that are absent
(or null where null is not allowed) come. The result shares nothing mutable with the input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
Complete = Callable[[Any], Any]

EMBEDDED = ("apiVersion", "kind", "metadata")


def completion(schema: Schema) -> Complete:
    """Compile a schema into a function from a value to its pruned and defaulted form."""
    if _holds_members(schema):
        return _object(schema)
    items = schema.get("items")
    if isinstance(items, Mapping):
        return _array(items)
    return copy.deepcopy if schema.get("x-kubernetes-preserve-unknown-fields") else _leaf


def _holds_members(schema: Schema) -> bool:
    return (
        schema.get("type") == "object"
        or "properties" in schema
        or isinstance(schema.get("additionalProperties"), Mapping)
    )


def _leaf(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _array(items: Schema) -> Complete:
    complete = completion(items)

    def array(value: Any) -> Any:
        return [complete(item) for item in value] if type(value) is list else _leaf(value)

    return array


def _object(schema: Schema) -> Complete:
    known = {name: completion(member) for name, member in schema.get("properties", {}).items()}
    if schema.get("x-kubernetes-embedded-resource"):
        known |= {name: copy.deepcopy for name in EMBEDDED if name not in known}
    not_null = {name for name, member in schema.get("properties", {}).items() if not member.get("nullable")}
    defaults = {
        name: (member["default"], known[name])
        for name, member in schema.get("properties", {}).items()
        if member.get("default") is not None
    }
    other = _others(schema)

    def complete(value: Any) -> Any:
        if type(value) is not dict:
            return _leaf(value)
        result = {}
        for name, item in value.items():
            member = known.get(name, other)
            if member is not None and (item is not None or name not in not_null):
                result[name] = member(item)
        for name, (default, member) in defaults.items():
            if name not in result:
                result[name] = member(default)
        return result

    return complete


def _others(schema: Schema) -> Complete | None:
    """Return what happens to members without a schema of their own; None drops them."""
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        return completion(additional)
    keeps = additional is True or schema.get("x-kubernetes-preserve-unknown-fields")
    return copy.deepcopy if keeps else None


Unknown = Callable[[Any, str, list[str]], None]


def unknown_members(schema: Schema) -> Unknown:
    """Compile a schema into a walk that collects the paths of members which would be pruned."""
    known = {name: unknown_members(member) for name, member in schema.get("properties", {}).items()}
    items, additional = schema.get("items"), schema.get("additionalProperties")
    below = unknown_members(items) if isinstance(items, Mapping) else None
    other = unknown_members(additional) if isinstance(additional, Mapping) else None
    keeps = bool(schema.get("x-kubernetes-preserve-unknown-fields") or additional)
    embedded = EMBEDDED if schema.get("x-kubernetes-embedded-resource") else ()

    def walk(value: Any, path: str, found: list[str]) -> None:
        if type(value) is dict:
            for name, item in value.items():
                place = f"{path}.{name}" if path else name
                member = known.get(name, other)
                if member is not None:
                    member(item, place, found)
                elif not keeps and name not in embedded:
                    found.append(place)
        elif type(value) is list and below is not None:
            for index, item in enumerate(value):
                below(item, f"{path}[{index}]", found)

    return walk
