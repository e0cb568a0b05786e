"""The bridge from kubectl's client-side apply to server-side apply.

Client-side apply keeps what it applied in an annotation. When kubectl's own manager then applies server-side,
the fields of that annotation are its own, and the annotation is kept up to date. Other managers get no such help.
Follows "Migrating from client-side apply to server-side apply" of the Kubernetes documentation.
"""

from __future__ import annotations

from flagger.sandbox.apiserver.fieldset import NOTHING, Fields, ListTypeOf, difference, fields_of
from flagger.sandbox.apiserver.objects import decode, encode
from flagger.sandbox.apiserver.types.resource_type import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"


def last_applied(obj: Object) -> Object | None:
    """Return what was applied client-side, or None."""
    text = (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        value = decode(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def fields_of_client(manager: str, live: Object, types: ListTypeOf) -> Fields:
    """Return the fields that a manager may take because it applied them before, and nobody changed them since."""
    applied = last_applied(live) if manager == KUBECTL else None
    if applied is None or applied.get("apiVersion") != live["apiVersion"]:
        return NOTHING
    between = difference(live, applied, types)
    return fields_of(applied, types) - between.changed


def with_annotation(manager: str, obj: Object, config: Object) -> Object:
    """Bring the annotation up to date after kubectl applied `config`; other objects come back as they are."""
    if manager != KUBECTL or last_applied(obj) is None:
        return obj
    about = obj["metadata"]
    text = encode(config).decode() + "\n"
    return {**obj, "metadata": {**about, "annotations": {**about["annotations"], LAST_APPLIED: text}}}
