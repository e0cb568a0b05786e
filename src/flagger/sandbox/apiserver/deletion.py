"""The delete verbs: options, propagation, finalizers, grace periods, preconditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flagger.sandbox.apiserver import custom_resources
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import parse
from flagger.sandbox.apiserver.call import Call, check_options, now, timestamp
from flagger.sandbox.apiserver.lists import Reading, page, selection_of
from flagger.sandbox.apiserver.objects import Entry, canonical, encode
from flagger.sandbox.apiserver.present import Answer, list_of, load_as, raw_of, stored_form, view_of
from flagger.sandbox.apiserver.status_errors import (
    bad_request,
    conflict,
    forbidden,
    invalid_options,
    success,
)
from flagger.sandbox.apiserver.types.causes import Cause, invalid, not_supported
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

POLICIES = ("Background", "Foreground", "Orphan")
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
GC_FINALIZERS: Mapping[str, str] = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
DEFAULT_POLICY: Mapping[str, str] = {"jobs.batch": "Orphan", "replicationcontrollers": "Orphan"}
PROTECTED = frozenset({"default", "kube-system", "kube-public"})
RETURNS_OBJECT = frozenset({"pods", "services", "namespaces", "serviceaccounts", "persistentvolumeclaims"})
"""Kinds whose delete answers with the object even when it is gone at once."""
DEFAULT_GRACE = 30


@dataclass(frozen=True, slots=True)
class Options:
    """How to delete; None where the client leaves it to the kind."""

    policy: str | None = None
    grace: int | None = None
    """Seconds."""
    uid: str = ""
    revision: str = ""
    dry: bool = False


def options_of(call: Call) -> Options:
    """Read the options of a delete from its body and parameters.

    Raises:
        ApiError: 422 on DeleteOptions, 400 for a malformed body.
    """
    body = parse(call) if call.body.strip() else {}
    if not isinstance(body, dict):
        raise bad_request("the body of a delete must be DeleteOptions")
    if body.get("dryRun"):
        call = replace(call, query={**call.query, "dryRun": ",".join(body["dryRun"])})
    check_options(call)
    given: Object = {"gracePeriodSeconds": call.integer("gracePeriodSeconds")} | body
    policy = given.get("propagationPolicy") or call.query.get("propagationPolicy")
    orphan = given.get("orphanDependents", call.query.get("orphanDependents"))
    if causes := _causes(policy, orphan, given.get("gracePeriodSeconds")):
        raise invalid_options("DeleteOptions", *causes)
    conditions = given.get("preconditions") or {}
    return Options(
        policy=policy or _orphan_policy(orphan),
        grace=given.get("gracePeriodSeconds"),
        uid=conditions.get("uid") or "",
        revision=conditions.get("resourceVersion") or "",
        dry=call.dry_run,
    )


def _orphan_policy(orphan: Any) -> str | None:
    if orphan is None:
        return None
    return "Orphan" if orphan in {True, "true", "1"} else "Background"


def _causes(policy: str | None, orphan: Any, grace: Any) -> list[Cause]:
    causes = []
    if policy and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(invalid("propagationPolicy", policy, text))
    if policy and policy not in POLICIES:
        causes.append(not_supported("propagationPolicy", policy, [*POLICIES, "nil"]))
    if isinstance(grace, int) and grace < 0:
        causes.append(invalid("gracePeriodSeconds", grace, "must be greater than or equal to 0"))
    return causes


def delete(backend: Backend, call: Call) -> Answer:
    """Answer a DELETE of one object."""
    options = options_of(call)
    entry = backend.entry(call)
    check_preconditions(call.kind, entry, options)
    return Answer(200, delete_entry(backend, call.kind, entry, options))


def check_preconditions(kind: ResourceType, entry: Entry, options: Options) -> None:
    """Refuse to delete another object, or another state, than the client means.

    Raises:
        ApiError: 409.
    """
    if options.uid and options.uid != entry.uid:
        raise conflict(kind.kind, kind.group, entry.key[1], _mismatch("UID", options.uid, entry.uid))
    if options.revision and options.revision != str(entry.revision):
        text = _mismatch("ResourceVersion", options.revision, str(entry.revision))
        raise conflict(kind.kind, kind.group, entry.key[1], text)


def _mismatch(what: str, asked: str, have: str) -> str:
    text = f"the {what} in the precondition ({asked}) does not match the {what} in record ({have}). "
    then = "deleted and then recreated" if what == "UID" else "modified"
    return f"{text}The object might have been {then}"


def delete_entry(backend: Backend, kind: ResourceType, entry: Entry, options: Options) -> bytes:
    """Delete one object, or mark it for deletion; returns the body of the answer.

    Raises:
        ApiError: 403, the object is protected.
    """
    if kind.storage == "namespaces" and entry.key[1] in PROTECTED:
        raise forbidden(kind, entry.key[1], "this namespace may not be deleted")
    obj = load_as(kind, entry)
    marked = marked_for_deletion(kind, obj, options, now())
    if marked is None:
        return _remove(backend, kind, obj, options)
    if marked == obj or options.dry:
        return encode(canonical(marked))
    return raw_of(kind, backend.store.put(kind.storage, stored_form(kind, marked)))


def _remove(backend: Backend, kind: ResourceType, obj: Object, options: Options) -> bytes:
    about = obj["metadata"]
    if not options.dry:
        backend.store.remove(kind.storage, (about.get("namespace", ""), about["name"]))
    if kind.storage in RETURNS_OBJECT:
        return encode(canonical(obj))
    return encode(success(kind, about["name"], about["uid"]))


def marked_for_deletion(kind: ResourceType, obj: Object, options: Options, moment: datetime) -> Object | None:
    """Return the object as it waits for its deletion, or None if nothing holds it."""
    about = dict(obj["metadata"])
    finalizers = _finalizers(kind, about, options)
    grace = _grace(kind, obj, options)
    if kind.storage == "namespaces" and (finalizers or obj.get("spec", {}).get("finalizers")):
        return _terminating(obj, about, finalizers, moment)
    if not finalizers and not grace:
        return None
    if about.get("deletionTimestamp"):
        return _shortened(obj, about, finalizers, grace)
    about["deletionTimestamp"] = timestamp(moment + timedelta(seconds=grace))
    about["deletionGracePeriodSeconds"] = grace
    if "generation" in about:
        about["generation"] += 1
    return {**obj, "metadata": _with_finalizers(about, finalizers)}


def _shortened(obj: Object, about: Object, finalizers: list[str], grace: int) -> Object:
    """A second delete may shorten the grace period, and may change what happens to dependents."""
    before = about.get("deletionGracePeriodSeconds") or 0
    if grace < before:
        first = datetime.fromisoformat(about["deletionTimestamp"]) - timedelta(seconds=before)
        about["deletionTimestamp"] = timestamp(first + timedelta(seconds=grace))
        about["deletionGracePeriodSeconds"] = grace
    return {**obj, "metadata": _with_finalizers(about, finalizers)}


def _terminating(obj: Object, about: Object, finalizers: list[str], moment: datetime) -> Object:
    about.setdefault("deletionTimestamp", timestamp(moment))
    status = {**(obj.get("status") or {}), "phase": "Terminating"}
    return {**obj, "metadata": _with_finalizers(about, finalizers), "status": status}


def _with_finalizers(about: Object, finalizers: list[str]) -> Object:
    rest = {name: value for name, value in about.items() if name != "finalizers"}
    return rest | ({"finalizers": finalizers} if finalizers else {})


def _finalizers(kind: ResourceType, about: Object, options: Options) -> list[str]:
    """Return the finalizers after the propagation policy has added or taken away its own."""
    before: list[str] = list(about.get("finalizers") or [])
    if kind.storage == custom_resources.CRDS:
        return before or [custom_resources.CLEANUP]
    if options.policy is None and (FOREGROUND in before or ORPHAN in before):
        return before
    policy = options.policy or DEFAULT_POLICY.get(kind.storage, "Background")
    own = GC_FINALIZERS.get(policy)
    kept = [name for name in before if name not in {FOREGROUND, ORPHAN} or name == own]
    return kept if own is None or own in kept else [*kept, own]


def _grace(kind: ResourceType, obj: Object, options: Options) -> int:
    """Return the seconds that a running pod gets; everything else goes at once."""
    if kind.storage != "pods":
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        return 0
    if options.grace is not None:
        return options.grace
    grace: int = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE)
    return grace


def delete_collection(backend: Backend, call: Call) -> Answer:
    """Answer a DELETE of a collection with the list of what was deleted."""
    options, selection = options_of(call), selection_of(call)
    view = view_of(call)
    found = page(backend.store, selection, Reading(), custom=call.kind.custom)
    for entry in found.entries:
        check_preconditions(call.kind, entry, options)
    for entry in found.entries:
        delete_entry(backend, call.kind, entry, options)
    return Answer(200, list_of(view, found.entries, {"resourceVersion": str(backend.store.revision)}))
