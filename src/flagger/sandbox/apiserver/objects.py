"""Objects as the store keeps them: canonical JSON bytes, and the few facts that reads need decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from flagger.sandbox.apiserver.types.resource_type import Object

Key = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name; lists are ordered by it."""

METADATA_ORDER = (
    *("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation"),
    *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("labels", "annotations", "ownerReferences", "finalizers", "managedFields"),
)
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored object at one revision."""

    key: Key
    uid: str
    revision: int
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    """Values of the fields that field selectors may ask for, besides name and namespace."""
    raw: bytes

    def load(self) -> Object:
        """Decode the object; the caller may change it."""
        obj: Object = decode(self.raw)
        return obj


def canonical(obj: Object) -> Object:
    """Bring an object into the member order of real servers: kind, apiVersion, metadata, the rest."""
    metadata = obj.get("metadata") or {}
    ordered = {name: metadata[name] for name in METADATA_ORDER if name in metadata}
    return (
        {"kind": obj.get("kind"), "apiVersion": obj.get("apiVersion")}
        | obj
        | {"metadata": ordered | metadata}
    )


def entry_of(obj: Object, revision: int, selectable: Iterable[str] = ()) -> Entry:
    """Encode an object as it is at `revision`, whatever version it names itself."""
    metadata = {**obj["metadata"], "resourceVersion": str(revision)}
    return Entry(
        key=(metadata.get("namespace") or "", metadata["name"]),
        uid=metadata.get("uid", ""),
        revision=revision,
        labels=metadata.get("labels") or {},
        fields={path: text for path in selectable if (text := field_text(obj, path)) != ""},
        raw=encode(canonical({**obj, "metadata": metadata})),
    )


def at_revision(entry: Entry, revision: int) -> Entry:
    """Return the same state under another revision, as DELETED events show it."""
    obj = entry.load()
    obj["metadata"]["resourceVersion"] = str(revision)
    return replace(entry, revision=revision, raw=encode(obj))


def field_text(obj: Object, path: str) -> str:
    """Return the value at a dotted path as field selectors compare it; "" if it is absent."""
    value: object = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
