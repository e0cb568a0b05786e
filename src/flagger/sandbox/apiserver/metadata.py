"""Object metadata as the server keeps it: what it sets itself, and what a client may not change."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import datetime

from flagger.sandbox.apiserver.call import Call, timestamp
from flagger.sandbox.apiserver.status_errors import ApiError, bad_request, conflict, internal, invalid
from flagger.sandbox.apiserver.types import causes
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
PREFIX_LIMIT = 58
SERVER_SET = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)
KEPT = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generation",
    "generateName",
)
"""Members that an update silently keeps."""


def generated_name(prefix: str) -> str:
    """Return a name made of a prefix and five random characters."""
    suffix = "".join(random.choices(SUFFIX_LETTERS, k=SUFFIX_LENGTH))
    return prefix[:PREFIX_LIMIT] + suffix


def place(obj: Object, call: Call) -> None:
    """Put a new or replaced object into the namespace of the URL.

    Raises:
        ApiError: 400, the body names another one.
    """
    metadata = obj["metadata"]
    given = metadata.get("namespace") or ""
    if not call.kind.namespaced:
        metadata.pop("namespace", None)
        return
    if given and given != call.namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = call.namespace


def for_create(obj: Object, kind: ResourceType, moment: datetime) -> None:
    """Give a new object its identity.

    Raises:
        ApiError: 500 if it has a resourceVersion, 422 if it has neither name nor generateName.
    """
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        raise internal("resourceVersion should not be set on objects to be created")
    for name in (*SERVER_SET, "resourceVersion"):
        metadata.pop(name, None)
    if not metadata.get("name"):
        if not metadata.get("generateName"):
            cause = causes.required("metadata.name", "name or generateName is required")
            raise invalid(kind.kind, kind.group, "", [cause])
        metadata["name"] = generated_name(metadata["generateName"])
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp(moment)


def check_identity(obj: Object, call: Call) -> None:
    """Compare the name in the body of a PUT or the result of a PATCH with the URL.

    Raises:
        ApiError: 400, it is missing or another one.
    """
    given = obj["metadata"].get("name") or ""
    if not given:
        raise bad_request(
            f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        )
    if given != call.name:
        raise bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({call.name})"
        )


def check_revision(old: Object, new: Object, call: Call) -> None:
    """Refuse a write that was based on an older state; no resourceVersion means "whatever is there".

    Raises:
        ApiError: 409.
    """
    asked = new["metadata"].get("resourceVersion") or old["metadata"]["resourceVersion"]
    if asked != old["metadata"]["resourceVersion"]:
        raise conflict(call.kind.plural, call.kind.group, call.name)


def check_uid(old: Object, new: Object, call: Call) -> None:
    """Refuse a write that means another object of the same name.

    Raises:
        ApiError: 409 for a PUT, 422 for a PATCH.
    """
    have = old["metadata"]["uid"]
    asked = new["metadata"].get("uid") or have
    if asked == have:
        return
    if call.verb == "patch":
        raise invalid_object(call, old, [causes.invalid("metadata.uid", asked, "field is immutable")])
    text = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {have}"
    raise conflict(
        call.kind.plural,
        call.kind.group,
        call.name,
        f"StorageError: invalid object, Code: 4, AdditionalErrorMsg: {text}",
    )


def invalid_object(call: Call, obj: Object, problems: Sequence[Cause]) -> ApiError:
    """Return the 422 about an object of the request's kind."""
    return invalid(call.kind.kind, call.kind.group, obj["metadata"].get("name") or "", problems)


def keep_identity(old: Object, new: Object) -> None:
    """Restore the members of metadata that a client cannot change."""
    before, after = old["metadata"], new["metadata"]
    for name in KEPT:
        if name in before:
            after[name] = before[name]
        else:
            after.pop(name, None)
    after["uid"], after["resourceVersion"] = before["uid"], before["resourceVersion"]


def finalizer_causes(old: Object, new: Object) -> list[Cause]:
    """Return what is wrong with the finalizers of an object that is being deleted."""
    before = old["metadata"].get("finalizers") or []
    added = [name for name in new["metadata"].get("finalizers") or [] if name not in before]
    if not added or not old["metadata"].get("deletionTimestamp"):
        return []
    listed = ", ".join(f'"{name}"' for name in added)
    text = "no new finalizers can be added if the object is being deleted, found new finalizers"
    return [causes.forbidden("metadata.finalizers", f"{text} []string{{{listed}}}")]


def prune_empty(obj: Object) -> None:
    """Drop empty members of metadata: servers do not store them."""
    metadata = obj["metadata"]
    for name in [name for name, value in metadata.items() if value is None or value in ("", [], {})]:
        del metadata[name]
