"""Sets of field paths, and how they are written in `metadata.managedFields` (FieldsV1).

A path is a tuple of FieldsV1 element names: `f:spec`, `k:{"name":"app"}` for an element of a keyed list,
`v:"x"` for one of a set. A container that a manager owns itself is a path too ("." in FieldsV1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flagger.sandbox.apiserver.types.merging import ListType
from flagger.sandbox.apiserver.types.resource_type import Object

FieldPath = tuple[str, ...]
Fields = frozenset[FieldPath]
ListTypeOf = Callable[[tuple[str, ...]], ListType]
"""Path of field names, without list elements → how that container merges."""

NOTHING: Fields = frozenset()
UNTRACKED: Fields = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            *("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields"),
            *("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"),
        )
    }
)
"""Fields that nobody owns, as in the API reference of server-side apply."""
ALWAYS_THERE = frozenset({"f:metadata", "f:spec", "f:status", "f:template", "f:strategy", "f:target"})
"""Structures that every object of their kind has: owning them means nothing."""
_encode = msgspec.json.Encoder(order="sorted").encode


def element_name(item: Any, rule: ListType) -> str:
    """Return the FieldsV1 name of a list element."""
    if rule.kind == "set":
        return f"v:{_encode(item).decode()}"
    key = {name: item.get(name, rule.defaults.get(name)) for name in rule.keys}
    return f"k:{_encode({name: value for name, value in key.items() if value is not None}).decode()}"


def is_keyed_list(value: Any, rule: ListType) -> bool:
    """Tell whether the elements of this list are addressed by key; otherwise it is one leaf."""
    if not isinstance(value, list) or rule.kind not in {"set", "map"}:
        return False
    return rule.kind == "set" or all(isinstance(item, dict) for item in value)


def members(value: Any, path: tuple[str, ...], types: ListTypeOf) -> Mapping[str, tuple[str, Any]] | None:
    """Return FieldsV1 name → (field name or "", member) of a container, or None if it counts as one leaf."""
    if isinstance(value, dict):
        if not value or types(path).kind == "atomic":
            return None
        return {f"f:{name}": (name, member) for name, member in value.items()}
    if isinstance(value, list) and value and is_keyed_list(value, rule := types(path)):
        return {element_name(item, rule): ("", item) for item in value}
    return None


def _below(path: tuple[str, ...], name: str) -> tuple[str, ...]:
    return (*path, name) if name else path


def fields_of(obj: Object, types: ListTypeOf) -> Fields:
    """Return the set of a configuration: every leaf, and the elements of keyed lists themselves."""
    found: set[FieldPath] = set()
    _collect(obj, (), (), types, found)
    return frozenset(found) - UNTRACKED


def _collect(
    value: Any, path: tuple[str, ...], at: FieldPath, types: ListTypeOf, found: set[FieldPath]
) -> None:
    inside = members(value, path, types)
    if inside is None:
        found.add(at)
        return
    for element, (name, member) in inside.items():
        if not name and isinstance(member, dict):
            found.add((*at, element))
        _collect(member, _below(path, name), (*at, element), types, found)


@dataclass(slots=True)
class Difference:
    """What changed between two states of an object, as field paths."""

    changed: set[FieldPath] = field(default_factory=set)
    """Leaves with another value, and everything that appeared."""
    removed: set[FieldPath] = field(default_factory=set)


def difference(old: Object, new: Object, types: ListTypeOf) -> Difference:
    """Compare two states leaf by leaf; containers that appear or vanish are named as well."""
    found = Difference()
    _compare(old, new, (), (), (types, found))
    found.changed -= UNTRACKED
    found.removed -= UNTRACKED
    return found


def _compare(
    old: Any, new: Any, path: tuple[str, ...], at: FieldPath, context: tuple[ListTypeOf, Difference]
) -> None:
    if old is new:
        return
    types, found = context
    before, after = members(old, path, types), members(new, path, types)
    if before is None and after is None:
        if old != new:
            found.changed.add(at)
        return
    before, after = before or {}, after or {}
    for element, (name, member) in after.items():
        if element in before:
            _compare(before[element][1], member, _below(path, name), (*at, element), context)
        else:
            _everything(member, _below(path, name), (*at, element), (types, found.changed))
    for element, (name, member) in before.items():
        if element not in after:
            _everything(member, _below(path, name), (*at, element), (types, found.removed))


def _everything(
    value: Any, path: tuple[str, ...], at: FieldPath, context: tuple[ListTypeOf, set[FieldPath]]
) -> None:
    """Name a container and all that is in it."""
    types, found = context
    inside = members(value, path, types)
    if inside is None or at[-1] not in ALWAYS_THERE:
        found.add(at)
    for element, (name, member) in (inside or {}).items():
        _everything(member, _below(path, name), (*at, element), context)


def to_fields_v1(fields: Fields) -> Object:
    """Write a set as the nested object of `fieldsV1`."""
    tree: Object = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    _drop_dots_of_leaves(tree)
    return tree


def _drop_dots_of_leaves(tree: Object) -> None:
    for node in tree.values():
        if len(node) == 1 and "." in node:
            del node["."]
        else:
            _drop_dots_of_leaves(node)


def from_fields_v1(tree: Mapping[str, Any]) -> Fields:
    """Read a set from `fieldsV1`."""
    return frozenset(_paths(tree, ()))


def _paths(tree: Mapping[str, Any], at: FieldPath) -> Iterator[FieldPath]:
    for element, node in tree.items():
        if element == ".":
            yield at
        elif node:
            yield from _paths(node, (*at, element))
        else:
            yield (*at, element)


def tree_with(tree: Object, path: FieldPath) -> Object:
    """Return a fieldsV1 object with one more path; the same object if it has it already."""
    name, *rest = path
    node = tree.get(name)
    if node is None:
        return tree | {name: _branch(tuple(rest))}
    if rest:
        # A leaf that gets members stays owned itself.
        grown = tree_with(node or {".": {}}, tuple(rest))
        return tree if grown is node else tree | {name: grown}
    return tree if not node or "." in node else tree | {name: {".": {}} | node}


def _branch(path: FieldPath) -> Object:
    return {path[0]: _branch(path[1:])} if path else {}


def tree_without(tree: Object, path: FieldPath) -> Object:
    """Return a fieldsV1 object without one path; the same object if it lacks it. What is below stays."""
    name, *rest = path
    node = tree.get(name)
    if node is None or (rest and not node) or (not rest and node and "." not in node):
        return tree
    left = (
        tree_without(node, tuple(rest)) if rest else {key: item for key, item in node.items() if key != "."}
    )
    if left is node:
        return tree
    if left and list(left) != ["."]:
        return tree | {name: left}
    if left:
        return tree | {name: {}}  # only the container itself is left
    return {key: item for key, item in tree.items() if key != name}


def described(path: FieldPath) -> str:
    """Return the path as conflict messages show it: `.spec.containers[name="app"].image`."""
    return "".join(_described_element(element) for element in path)


def _described_element(element: str) -> str:
    kind, text = element.split(":", 1)
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    key = msgspec.json.decode(text)
    return f"[{','.join(f'{name}={_encode(value).decode()}' for name, value in key.items())}]"
