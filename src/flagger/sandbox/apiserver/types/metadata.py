"""The metadata that all kinds share: what a server sets or keeps, and the rules it checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import names
from flagger.sandbox.apiserver.types.causes import Cause, invalid, required

Object = dict[str, Any]

ANNOTATIONS_LIMIT = 256 * 1024
STANDARD_FINALIZERS = frozenset({"foregroundDeletion", "orphan", "kubernetes"})
NOT_FOR_CLIENTS = ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
KEPT = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generation",
    "uid",
)


def for_create(meta: Object, *, generation: bool) -> None:
    """Drop what a client may not set; `uid` and times are stamped by the caller."""
    for name in NOT_FOR_CLIENTS:
        meta.pop(name, None)
    if generation:
        meta["generation"] = 1


def for_update(old: Mapping[str, Any], meta: Object) -> None:
    """Bring back what a client may not change."""
    for name in KEPT:
        if name in old:
            meta[name] = old[name]
        else:
            meta.pop(name, None)
    meta.setdefault("name", old.get("name"))
    if "namespace" in old:
        meta.setdefault("namespace", old["namespace"])


def validate(
    meta: Object, old: Mapping[str, Any] | None, name_rule: names.Rule, *, custom: bool
) -> Iterator[Cause]:
    """Check metadata of a new object, or of an update of `old`; `custom` kinds take any finalizer name."""
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif old is None:
        yield from (invalid("metadata.name", name, problem) for problem in name_rule(name))
    for key, value in (meta.get("labels") or {}).items():
        yield from labels_cause("metadata.labels", key, value)
    yield from _annotations(meta.get("annotations") or {})
    yield from _owners(meta.get("ownerReferences") or ())
    yield from _finalizers(meta, old, custom=custom)


def labels_cause(field: str, key: str, value: str) -> Iterator[Cause]:
    """Check one label."""
    yield from (invalid(field, key, problem) for problem in names.qualified(key))
    yield from (invalid(field, value, problem) for problem in names.label_value(value))


def _annotations(annotations: Mapping[str, str]) -> Iterator[Cause]:
    size = 0
    for key, value in annotations.items():
        yield from (invalid("metadata.annotations", key, problem) for problem in names.qualified(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        text = f"Too long: must have at most {ANNOTATIONS_LIMIT} bytes"
        yield Cause("FieldValueTooLong", text, "metadata.annotations")


def _owners(owners: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    field = "metadata.ownerReferences"
    for owner in owners:
        for member in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(member):
                label = {"apiVersion": "version"}.get(member, member)
                yield invalid(f"{field}.{member}", "", f"{label} must not be empty")
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        yield invalid(field, "", "Only one reference can have Controller set to true")


def _finalizers(meta: Object, old: Mapping[str, Any] | None, *, custom: bool) -> Iterator[Cause]:
    finalizers = meta.get("finalizers") or ()
    if not finalizers:
        return
    before = (old or {}).get("finalizers") or ()
    added = [item for item in finalizers if item not in before]
    for index, item in enumerate(finalizers):
        if item in added and not custom:
            yield from _finalizer(f"metadata.finalizers[{index}]", item)


def _finalizer(field: str, item: str) -> Iterator[Cause]:
    problems = names.qualified(item)
    yield from (invalid(field, item, problem) for problem in problems)
    if not problems and "/" not in item and item not in STANDARD_FINALIZERS:
        yield invalid(field, item, "name is neither a standard finalizer name nor is it fully qualified")
