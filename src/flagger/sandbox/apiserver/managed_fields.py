"""Who owns which field: reading, updating and writing `metadata.managedFields`."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Write entries the way servers list them: applied ones first, then by time."""
    rows = sorted(owners.items(), key=lambda item: (item[0].operation, item[1].time, item[0]))
    return [_entry(writer, owned) for writer, owned in rows if owned.fields]


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
    themselves by sending them.
    """
    if tracking_reset(new):
        return []
    entries = new["metadata"].get("managedFields") or old.get("metadata", {}).get("managedFields") or []
    found = difference(old, new, types)
    if not found.changed and not found.removed:
        return list(entries)
    return entries_of(_moved({_writer(e): _owned(e) for e in entries if _is_entry(e)}, writer, found, time))


def _moved(owners: Owners, writer: Writer, found: Difference, time: str) -> Owners:
    gone = found.changed | found.removed
    moved = {
        other: Owned(owned.fields - gone, owned.time) if other != writer else owned
        for other, owned in owners.items()
    }
    own = owners.get(writer, Owned(NOTHING, time))
    fields = (own.fields | found.changed) - found.removed
    if fields != own.fields:
        moved[writer] = Owned(fields, time)
    return moved


def others(owners: Owners, writer: Writer) -> dict[Writer, Fields]:
    """Return what everybody but `writer` owns."""
    return {other: owned.fields for other, owned in owners.items() if other != writer}


def conflicts(owners: Owners, writer: Writer, changed: set[FieldPath]) -> dict[Writer, list[FieldPath]]:
    """Return the changed paths that others own, by owner."""
    clashes = {other: sorted(fields & changed) for other, fields in others(owners, writer).items()}
    return {other: paths for other, paths in clashes.items() if paths}
