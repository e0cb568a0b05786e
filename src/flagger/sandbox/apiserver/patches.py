"""The patch verb: four kinds of patch, one way into the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flagger.sandbox.apiserver import metadata
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import check_fields, named, parse_json, parse_yaml
from flagger.sandbox.apiserver.call import Call, check_options, now, timestamp
from flagger.sandbox.apiserver.client_side_apply import fields_of_client, with_annotation
from flagger.sandbox.apiserver.managed_fields import Owners, Writer, entries_of, owners_of, same_fields
from flagger.sandbox.apiserver.merge_patch import apply_json_patch, merge
from flagger.sandbox.apiserver.present import Answer, load_as
from flagger.sandbox.apiserver.server_side_apply import Application, apply
from flagger.sandbox.apiserver.status_errors import (
    ApiError,
    bad_request,
    conflict,
    internal,
    invalid_options,
    not_found,
    unsupported_media_type,
)
from flagger.sandbox.apiserver.strategic_patch import MergeKeyOf, strategic_merge
from flagger.sandbox.apiserver.types import causes
from flagger.sandbox.apiserver.types.resource_type import Object
from flagger.sandbox.apiserver.writes import create_object, replace_object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

Patch = Callable[[Object, Any, MergeKeyOf], Object]
PATCHES: Mapping[str, Patch] = {
    JSON_PATCH: lambda obj, patch, _: apply_json_patch(obj, patch),
    MERGE_PATCH: lambda obj, patch, _: merge(obj, _mapping(patch)),
    STRATEGIC_PATCH: strategic_merge,
}


def _mapping(patch: Any) -> Object:
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return patch


def patch_function(call: Call) -> Patch:
    """Return the function for the content type of a patch that is not an apply.

    Raises:
        ApiError: 415; strategic merge needs a built-in kind.
    """
    if call.content_type == STRATEGIC_PATCH and call.kind.custom:
        raise unsupported_media_type(f"{JSON_PATCH}, {MERGE_PATCH}, {APPLY_PATCH}")
    if call.content_type not in PATCHES:
        raise unsupported_media_type()
    return PATCHES[call.content_type]


def check_patch_options(call: Call) -> None:
    """Validate the parameters of a patch.

    Raises:
        ApiError: 422 on PatchOptions.
    """
    check_options(call)
    applying = call.content_type == APPLY_PATCH
    if applying and not call.query.get("fieldManager"):
        raise invalid_options("PatchOptions", causes.required("fieldManager", "is required for apply patch"))
    if not applying and "force" in call.query:
        raise invalid_options(
            "PatchOptions", causes.forbidden("force", "may not be specified for non-apply patch")
        )


def patch(backend: Backend, call: Call) -> Answer:
    """Answer a PATCH."""
    check_patch_options(call)
    if call.content_type == APPLY_PATCH:
        return _apply(backend, call)
    function = patch_function(call)
    entry = backend.entry(call)
    changed = patched(function, call, load_as(call.kind, entry))
    return Answer(200, replace_object(backend, call, entry, changed))


def patched(function: Patch, call: Call, old: Object) -> Object:
    """Return the object that a patch makes of `old`, checked against the URL.

    Raises:
        ApiError: 400, 422 or 500 if the patch does not apply.
    """
    changed = function(old, patch_body(call), call.kind.merge_keys)
    _check_metadata(changed)
    changed = _named(changed, call)
    metadata.check_identity(changed, call)
    given = changed["metadata"].get("namespace") or ""
    if given != call.namespace:
        what = f"the namespace of the object ({given})"
        raise bad_request(f"{what} does not match the namespace on the request ({call.namespace})")
    check_fields(call, changed)
    return changed


def _check_metadata(obj: Object) -> None:
    """Refuse an object whose metadata a patch has destroyed.

    Raises:
        ApiError: 422 on the field `patch`.
    """
    if not isinstance(obj.get("metadata"), dict):
        raise ApiError(422, "Invalid", "metadata: expected an object", details={})


def _named(obj: Object, call: Call) -> Object:
    try:
        return named(obj, call.kind)
    except ApiError as error:
        raise bad_request(error.message) from error


def patch_body(call: Call) -> Any:
    """Read the body of a patch that is not an apply.

    Raises:
        ApiError: 400 or 500, it is not JSON.
    """
    try:
        return parse_json(call.body)
    except ApiError as error:
        # Real servers answer 500 here for JSON patches and 400 for the others.
        raise internal(error.message) if call.content_type == JSON_PATCH else error from error


def _apply(backend: Backend, call: Call) -> Answer:
    config = _configuration(call)
    entry = backend.store.get(call.kind.storage, (call.namespace, call.name))
    if entry is None:
        return _apply_to_nothing(backend, call, config)
    live = load_as(call.kind, entry)
    if config["metadata"].get("resourceVersion"):
        metadata.check_revision(live, config, call)
    types = call.kind.list_type
    request = Application(
        writer=_writer(call),
        config=config,
        force=call.flag("force"),
        time=timestamp(now()),
        reclaimed=fields_of_client(call.manager, live, types),
    )
    owners = owners_of(live)
    applied = apply(live, owners, request, types)
    managed = _entries(live, owners, applied.owners)
    changed = with_annotation(call.manager, applied.obj, config)
    # Apply ignores the revision of what it merged into: ownership decides about conflicts.
    revision = {"resourceVersion": live["metadata"]["resourceVersion"]}
    changed["metadata"] = changed["metadata"] | revision
    return Answer(200, replace_object(backend, call, entry, changed, managed))


def _entries(live: Object, before: Owners, after: Owners) -> list[Object]:
    if same_fields(before, after):
        return list(live["metadata"].get("managedFields") or [])
    return entries_of(after)


def _writer(call: Call) -> Writer:
    return Writer("Apply", call.manager, call.kind.api_version, call.target.subresource)


def _apply_to_nothing(backend: Backend, call: Call, config: Object) -> Answer:
    if call.target.subresource:
        raise not_found(call.kind, call.name)
    if uid := config["metadata"].get("uid"):
        text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(call.kind.plural, call.kind.group, call.name, text)
    config["metadata"].pop("resourceVersion", None)
    request = Application(_writer(call), config, call.flag("force"), timestamp(now()))
    applied = apply({}, {}, request, call.kind.list_type)
    obj = {**applied.obj, "metadata": dict(applied.obj["metadata"])}
    return Answer(201, create_object(backend, call, obj, entries_of(applied.owners)))


def _configuration(call: Call) -> Object:
    """Read the body of an apply request.

    Raises:
        ApiError: 400 for a body that cannot be applied, 500 for fields that the kind does not have.
    """
    value = parse_yaml(call.body)
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the body is not an object")
    _check_version(value, call)
    if not value.get("kind"):
        raise bad_request("error decoding YAML: Object 'Kind' is missing")
    config = named(value, call.kind)
    if config["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    metadata.place(config, call)
    config["metadata"].setdefault("name", call.name)
    metadata.check_identity(config, call)
    _check_declared(call, config)
    return _without_foreign_part(call, config)


def _check_version(value: Object, call: Call) -> None:
    expected, given = call.kind.api_version, value.get("apiVersion") or ""
    if given != expected:
        text = "Incorrect version specified in apply patch. Specified patch version: %s, expected: %s"
        raise bad_request(text % (given, expected))


def _check_declared(call: Call, config: Object) -> None:
    check_fields(call, config)
    if unknown := list(call.kind.unknown_fields(config)):
        raise internal(f"failed to create typed patch object: .{unknown[0]}: field not declared in schema")


def _without_foreign_part(call: Call, config: Object) -> Object:
    """Leave the status to `/status`, and everything else to the object itself."""
    if call.target.subresource == "status":
        return {name: config[name] for name in ("apiVersion", "kind", "metadata", "status") if name in config}
    if "status" in call.kind.subresources:
        return {name: value for name, value in config.items() if name != "status"}
    return config
