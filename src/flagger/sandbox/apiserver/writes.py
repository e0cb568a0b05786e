"""Creating and replacing objects: the path that every write of an object takes.

decode → place → admit → prepare and validate (types) → compare → record owners → store
"""

from __future__ import annotations

from collections.abc import Sequence

from flagger.sandbox.apiserver import admission, metadata
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import check_fields, object_of
from flagger.sandbox.apiserver.call import Call, check_options, now, timestamp
from flagger.sandbox.apiserver.fieldset import ListTypeOf
from flagger.sandbox.apiserver.managed_fields import Writer, after_update
from flagger.sandbox.apiserver.objects import Entry, canonical, encode
from flagger.sandbox.apiserver.present import Answer, load_as, raw_of, stored_form
from flagger.sandbox.apiserver.status_errors import already_exists, not_found
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

NAME_ATTEMPTS = 8
"""How often a generated name is drawn until it is free."""


def create(backend: Backend, call: Call) -> Answer:
    """Answer a POST to a collection."""
    check_options(call)
    obj = object_of(call)
    check_fields(call, obj)
    metadata.place(obj, call)
    return Answer(201, create_object(backend, call, obj))


def create_object(backend: Backend, call: Call, obj: Object, managed: list[Object] | None = None) -> bytes:
    """Store a new object and return it as JSON in the version of the request.

    `managed` are its owners if the caller knows them; otherwise the request's manager owns everything.

    Raises:
        ApiError: 409 if the name is taken, 422 if it is invalid, 403 or 404 by admission.
    """
    given = obj["metadata"].get("name") or ""
    admission.check_namespace(backend, call, given)
    moment = now()
    metadata.for_create(obj, call.kind, moment)
    if not given:
        _draw_name(backend, call.kind, obj)
    prepared = call.kind.prepare_create(obj, moment)
    metadata.prune_empty(prepared)
    _refuse(call, prepared, call.kind.validate(prepared, None))
    _refuse(call, prepared, admission.admit(backend, call.kind, prepared, None))
    if _taken(backend, call.kind, prepared):
        raise already_exists(call.kind, prepared["metadata"]["name"])
    blank: Object = {"metadata": {}}
    _own(prepared, after_update(blank, prepared, *_tracking(call)) if managed is None else managed)
    return _put(backend, call, prepared)


def _draw_name(backend: Backend, kind: ResourceType, obj: Object) -> None:
    """Draw a generated name again while it is taken."""
    about = obj["metadata"]
    for _ in range(NAME_ATTEMPTS):
        if not _taken(backend, kind, obj):
            return
        about["name"] = metadata.generated_name(about["generateName"])


def _taken(backend: Backend, kind: ResourceType, obj: Object) -> bool:
    key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    return backend.store.get(kind.storage, key) is not None


def _refuse(call: Call, obj: Object, problems: Sequence[Cause]) -> None:
    if problems:
        raise metadata.invalid_object(call, obj, problems)


def update(backend: Backend, call: Call) -> Answer:
    """Answer a PUT."""
    check_options(call)
    obj = object_of(call)
    check_fields(call, obj)
    metadata.place(obj, call)
    metadata.check_identity(obj, call)
    entry = backend.store.get(call.kind.storage, (call.namespace, call.name))
    if entry is None:
        return _create_by_put(backend, call, obj)
    _require_revision(call, obj)
    return Answer(200, replace_object(backend, call, entry, obj))


def _create_by_put(backend: Backend, call: Call, obj: Object) -> Answer:
    if not call.kind.update_creates or call.target.subresource:
        raise not_found(call.kind, call.name)
    obj["metadata"].pop("resourceVersion", None)
    return Answer(201, create_object(backend, call, obj))


def _require_revision(call: Call, obj: Object) -> None:
    if call.kind.update_needs_version and not obj["metadata"].get("resourceVersion"):
        printed = '""' if call.kind.storage == "services" else "0x0"
        text = f"Invalid value: {printed}: must be specified for an update"
        raise metadata.invalid_object(
            call, obj, [Cause("FieldValueInvalid", text, "metadata.resourceVersion")]
        )


def replace_object(
    backend: Backend, call: Call, entry: Entry, new: Object, managed: list[Object] | None = None
) -> bytes:
    """Store the new state of an object, unless nothing changes; returns it as JSON.

    An object that is being deleted goes away with its last finalizer.

    Raises:
        ApiError: 409 for a stale state, 422 if the new one is invalid.
    """
    old = load_as(call.kind, entry)
    metadata.check_uid(old, new, call)
    metadata.check_revision(old, new, call)
    metadata.keep_identity(old, new)
    prepared = call.kind.prepare_update(old, new, call.target.subresource)
    metadata.prune_empty(prepared)
    problems = call.kind.validate(prepared, old)
    _refuse(call, prepared, [*problems, *metadata.finalizer_causes(old, prepared)])
    _refuse(call, prepared, admission.admit(backend, call.kind, prepared, old))
    _own(prepared, after_update(old, prepared, *_tracking(call)) if managed is None else managed)
    if prepared == old:
        return raw_of(call.kind, entry)
    if is_finished(call.kind, prepared):
        return _removed(backend, call, prepared)
    return _put(backend, call, prepared)


def is_finished(kind: ResourceType, obj: Object) -> bool:
    """Tell whether an object that is being deleted has nothing left to wait for."""
    about = obj["metadata"]
    if not about.get("deletionTimestamp") or about.get("finalizers"):
        return False
    if kind.storage == "namespaces":
        return not (obj.get("spec") or {}).get("finalizers")
    grace: int | None = about.get("deletionGracePeriodSeconds")
    return grace == 0


def _removed(backend: Backend, call: Call, obj: Object) -> bytes:
    if not call.dry_run:
        last = backend.store.remove(call.kind.storage, (call.namespace, call.name))
        obj["metadata"]["resourceVersion"] = str(last.revision)
    return encode(canonical(obj))


def _tracking(call: Call) -> tuple[Writer, ListTypeOf, str]:
    writer = Writer("Update", call.manager, call.kind.api_version, call.target.subresource)
    return writer, call.kind.list_type, timestamp(now())


def _own(obj: Object, entries: list[Object]) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _put(backend: Backend, call: Call, obj: Object) -> bytes:
    if call.dry_run:
        return encode(canonical(obj))
    return raw_of(call.kind, backend.store.put(call.kind.storage, stored_form(call.kind, obj)))
