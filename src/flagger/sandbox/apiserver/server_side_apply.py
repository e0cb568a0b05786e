"""Server-side apply: merge a partial configuration, fail on conflicts, remove what is no longer applied.

Pure. Follows the Kubernetes document "Server-Side Apply"; ownership itself lives in `managed_fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.apiserver.fieldset import (
    NOTHING,
    FieldPath,
    Fields,
    ListTypeOf,
    described,
    difference,
    element_name,
    fields_of,
    is_keyed_list,
)
from flagger.sandbox.apiserver.managed_fields import Owned, Owners, Writer, conflicts, others
from flagger.sandbox.apiserver.status_errors import ApiError, internal
from flagger.sandbox.apiserver.types.merging import ListType
from flagger.sandbox.apiserver.types.resource_type import Object

BEFORE_FIRST_APPLY = "before-first-apply"


@dataclass(frozen=True, slots=True)
class Application:
    """One apply request: who applies what, and whether it takes fields away from others."""

    writer: Writer
    config: Object
    force: bool
    time: str
    reclaimed: Fields = NOTHING
    """Fields that may be taken from others without force."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The object after an apply, before defaulting, and who owns it then."""

    obj: Object
    owners: Owners


def apply(live: Object, owners: Owners, request: Application, types: ListTypeOf) -> Applied:
    """Merge the configuration into `live` (`{}` if it does not exist).

    Raises:
        ApiError: 409 with one cause per conflicting field, 500 for a list with duplicate keys.
    """
    if live and not owners:
        owners = _tracked(live, request, types)
    config = without_nulls(request.config)
    check_duplicates(config, (), (), types)
    applied = fields_of(config, types)
    merged = merge(live, config, (), types)
    changed = difference(live, merged, types).changed
    clashes = conflicts(owners, request.writer, changed)
    refused = {} if request.force else conflicts(owners, request.writer, changed - request.reclaimed)
    if refused:
        raise _conflict(refused)
    after = _owners_after(owners, request, applied, {path for paths in clashes.values() for path in paths})
    before = owners.get(request.writer, Owned(NOTHING, "")).fields
    kept = applied.union(*others(after, request.writer).values())
    return Applied(without(merged, before - kept, kept, types), after)


def _tracked(live: Object, request: Application, types: ListTypeOf) -> Owners:
    """Give everything in an object that nobody owns to one artificial manager."""
    writer = Writer("Update", BEFORE_FIRST_APPLY, request.writer.api_version)
    return {writer: Owned(fields_of(live, types), request.time)}


def _owners_after(owners: Owners, request: Application, applied: Fields, taken: set[FieldPath]) -> Owners:
    after = {
        other: Owned(owned.fields - taken, owned.time) if other != request.writer else owned
        for other, owned in owners.items()
    }
    before = owners.get(request.writer)
    if before is None or before.fields != applied:
        after[request.writer] = Owned(applied, request.time)
    return after


def _conflict(clashes: Mapping[Writer, Sequence[FieldPath]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {_named(writer)}",
            "field": described(path),
        }
        for writer, paths in clashes.items()
        for path in paths
    ]
    return ApiError(409, "Conflict", _conflict_text(clashes, len(causes)), details={"causes": causes})


def _conflict_text(clashes: Mapping[Writer, Sequence[FieldPath]], count: int) -> str:
    if count == 1:
        [(writer, [path])] = clashes.items()
        return f"Apply failed with 1 conflict: conflict with {_named(writer)}: {described(path)}"
    lines = [f"Apply failed with {count} conflicts:"]
    for writer, paths in clashes.items():
        several = "conflicts" if len(paths) > 1 else "conflict"
        lines[-1] += f" {several} with {_named(writer)}:"
        lines += [f"- {described(path)}" for path in paths]
    return "\n".join(lines)


def _named(writer: Writer) -> str:
    if writer.operation == "Apply":
        return f'"{writer.manager}"'
    part = f' with subresource "{writer.subresource}"' if writer.subresource else ""
    return f'"{writer.manager}"{part} using {writer.api_version}'


def without_nulls(value: Any) -> Any:
    """Drop members that are null: an applied configuration cannot ask for nothing."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def check_duplicates(value: Any, path: tuple[str, ...], at: FieldPath, types: ListTypeOf) -> None:
    """Refuse keyed lists in which two elements have the same key.

    Raises:
        ApiError: 500, as real servers answer.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            check_duplicates(item, (*path, name), (*at, f"f:{name}"), types)
    elif isinstance(value, list) and is_keyed_list(value, rule := types(path)):
        names = [element_name(item, rule) for item in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            key = described((twice,))
            raise internal(
                f"failed to create typed patch object: {described(at)}: duplicate entries for key {key}"
            )
        for item, name in zip(value, names, strict=True):
            check_duplicates(item, path, (*at, name), types)


def merge(live: Any, config: Any, path: tuple[str, ...], types: ListTypeOf) -> Any:
    """Merge a configuration into a live value: maps and keyed lists merge, everything else is replaced."""
    if isinstance(live, dict) and isinstance(config, dict):
        if types(path).kind == "atomic":
            return config
        return live | {
            name: merge(live.get(name), item, (*path, name), types) for name, item in config.items()
        }
    if isinstance(live, list) and isinstance(config, list):
        rule = types(path)
        if is_keyed_list(live, rule) and is_keyed_list(config, rule):
            return _merged_list(live, config, rule, lambda old, new: merge(old, new, path, types))
    return config


def _merged_list(live: Sequence[Any], config: Sequence[Any], rule: ListType, combine: Any) -> list[Any]:
    wanted = {element_name(item, rule): item for item in config}
    known = {element_name(item, rule): item for item in live}
    merged = [combine(item, wanted[name]) if name in wanted else item for name, item in known.items()]
    return [*merged, *(item for name, item in wanted.items() if name not in known)]


def without(value: Any, gone: Fields, kept: Fields, types: ListTypeOf) -> Any:
    """Return the object without the paths in `gone`; emptied containers that nobody in `kept` owns go too."""
    if not gone:
        return value
    return _Remover(gone, kept, types).container(value, (), ())


class _Remover:
    def __init__(self, gone: Fields, kept: Fields, types: ListTypeOf) -> None:
        self.gone = gone
        self.kept = kept
        self.types = types
        # Every ancestor of a path: below these there is something to remove, or something to keep.
        self.above_gone = {path[:length] for path in gone for length in range(len(path))}
        self.above_kept = {path[:length] for path in kept for length in range(len(path) + 1)}

    def container(self, value: Any, path: tuple[str, ...], at: FieldPath) -> Any:
        if at not in self.above_gone:
            return value
        if isinstance(value, dict):
            pairs = (
                (name, self.member(item, (*path, name), (*at, f"f:{name}"))) for name, item in value.items()
            )
            return {name: item for name, item in pairs if item is not None}
        if isinstance(value, list):
            rule = self.types(path)
            items = (self.member(item, path, (*at, element_name(item, rule))) for item in value)
            return [item for item in items if item is not None]
        return value

    def member(self, value: Any, path: tuple[str, ...], at: FieldPath) -> Any:
        """Return what remains of a member, or None if nothing does."""
        if at in self.gone and at not in self.above_kept:
            return None
        remaining = self.container(value, path, at)
        emptied = remaining != value and remaining in ({}, [])
        return None if emptied and at not in self.above_kept else remaining
