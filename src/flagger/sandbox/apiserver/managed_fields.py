"""Who owns which field: reading, updating and writing `metadata.managedFields`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.apiserver.fieldset import (
    NOTHING,
    Difference,
    FieldPath,
    Fields,
    ListTypeOf,
    difference,
    from_fields_v1,
    to_fields_v1,
    tree_with,
    tree_without,
)
from flagger.sandbox.apiserver.types.resource_type import Object


@dataclass(frozen=True, slots=True, order=True)
class Writer:
    """The identity of an entry: the same manager has one per operation, version and subresource."""

    operation: str
    """"Apply" or "Update"."""
    manager: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """What a writer owns, and when (RFC 3339) that changed last."""

    fields: Fields
    time: str


Owners = Mapping[Writer, Owned]


def owners_of(obj: Object) -> Owners:
    """Read the entries of an object; malformed ones count as absent."""
    entries = obj.get("metadata", {}).get("managedFields") or []
    return {_writer(entry): _owned(entry) for entry in entries if _is_entry(entry)}


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("fieldsV1"), dict) and "operation" in entry


def _writer(entry: Object) -> Writer:
    return Writer(
        operation=entry["operation"],
        manager=entry.get("manager", ""),
        api_version=entry.get("apiVersion", ""),
        subresource=entry.get("subresource", ""),
    )


def _owned(entry: Object) -> Owned:
    return Owned(from_fields_v1(entry["fieldsV1"]), entry.get("time", ""))


def entries_of(owners: Owners) -> list[Object]:
    """Write entries; those without fields are left out."""
    entries = (_entry(writer, owned) for writer, owned in owners.items() if owned.fields)
    return sorted(entries, key=_rank)


def _entry(writer: Writer, owned: Owned) -> Object:
    entry: Object = {
        "manager": writer.manager,
        "operation": writer.operation,
        "apiVersion": writer.api_version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(owned.fields),
    }
    return entry | ({"subresource": writer.subresource} if writer.subresource else {})


def same_fields(left: Owners, right: Owners) -> bool:
    """Compare two sets of owners, leaving times aside."""
    return {writer: owned.fields for writer, owned in left.items()} == {
        writer: owned.fields for writer, owned in right.items()
    }


def tracking_reset(obj: Object) -> bool:
    """Tell whether a client asked to forget all owners, by sending one empty entry."""
    entries: object = obj.get("metadata", {}).get("managedFields")
    return entries == [{}]


def after_update(old: Object, new: Object, writer: Writer, types: ListTypeOf, time: str) -> list[Object]:
    """Return the entries after a POST, PUT or PATCH that turned `old` into `new`.

    What changed belongs to `writer` alone; what is gone belongs to nobody. A client may rewrite the entries
    themselves by sending them. Entries are edited as they are: most writes touch few of many paths.
    """
    if tracking_reset(new):
        return []
    entries = new["metadata"].get("managedFields") or old.get("metadata", {}).get("managedFields") or []
    found = difference(old, new, types)
    if not found.changed and not found.removed:
        return list(entries)
    known = [entry for entry in entries if _is_entry(entry)]
    gone = found.changed | found.removed
    foreign = [_without(entry, gone) for entry in known if _writer(entry) != writer]
    mine = next((entry for entry in known if _writer(entry) == writer), None)
    edited = [*foreign, _edited(mine or _entry(writer, Owned(NOTHING, time)), found, time)]
    return sorted((entry for entry in edited if entry["fieldsV1"]), key=_rank)


def _without(entry: Object, gone: Iterable[FieldPath]) -> Object:
    tree = entry["fieldsV1"]
    for path in gone:
        tree = tree_without(tree, path)
    return entry if tree is entry["fieldsV1"] else {**entry, "fieldsV1": tree}


def _edited(entry: Object, found: Difference, time: str) -> Object:
    """Return the writer's own entry with what it changed; its time moves only if its fields do."""
    tree = entry["fieldsV1"]
    for path in found.removed:
        tree = tree_without(tree, path)
    for path in found.changed:
        tree = tree_with(tree, path)
    return entry if tree is entry["fieldsV1"] else {**entry, "fieldsV1": tree, "time": time}


def _rank(entry: Object) -> tuple[str, str, Writer]:
    """Applied entries are listed first, then by time."""
    writer = _writer(entry)
    return writer.operation, entry.get("time", ""), writer


def others(owners: Owners, writer: Writer) -> dict[Writer, Fields]:
    """Return what everybody but `writer` owns."""
    return {other: owned.fields for other, owned in owners.items() if other != writer}


def conflicts(owners: Owners, writer: Writer, changed: set[FieldPath]) -> dict[Writer, list[FieldPath]]:
    """Return the changed paths that others own, by owner."""
    clashes = {other: sorted(fields & changed) for other, fields in others(owners, writer).items()}
    return {other: paths for other, paths in clashes.items() if paths}
