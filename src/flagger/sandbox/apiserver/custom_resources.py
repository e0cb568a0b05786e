"""The life of a CustomResourceDefinition: names accepted, established, served; instances deleted, gone.

Reacts to changes of stored definitions, always from the present state, so that a definition found at start
or changed twice in a row ends up the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.call import now, timestamp
from flagger.sandbox.apiserver.fields import StoredFields
from flagger.sandbox.apiserver.objects import Entry
from flagger.sandbox.apiserver.status_errors import method_not_allowed, qualified
from flagger.sandbox.apiserver.store import Change, Store
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType
from flagger.sandbox.apiserver.watch import Hub

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
TERMINATING = "create not allowed while custom resource definition is terminating"


def check_not_terminating(store: Store, kind: ResourceType) -> None:
    """Refuse new instances of a definition that is being deleted.

    Raises:
        ApiError: 405.
    """
    entry = store.get(CRDS, ("", qualified(kind.plural, kind.group)))
    if entry is not None and "metadata.deletionTimestamp" in entry.fields:
        raise method_not_allowed(TERMINATING)


def condition(kind: str, status: bool, reason: str, message: str) -> Object:
    """Return a condition without its transition time."""
    return {"type": kind, "status": str(status), "reason": reason, "message": message}


def with_conditions(status: Object, wanted: list[Object], moment: datetime) -> Object:
    """Merge conditions by type; the transition time moves only when the status does."""
    present = {item["type"]: item for item in status.get("conditions") or ()}
    for item in wanted:
        before = present.get(item["type"], {})
        same = before.get("status") == item["status"]
        time = before.get("lastTransitionTime") if same else timestamp(moment)
        present[item["type"]] = {**item, "lastTransitionTime": time}
    return {**status, "conditions": list(present.values())}


class Definitions:
    """Carries out what stored definitions say."""

    def __init__(self, registry: Registry, store: Store, hub: Hub, stored_fields: StoredFields) -> None:
        self._registry = registry
        self._stored_fields = stored_fields
        self._store = store
        self._hub = hub
        self._served: dict[str, Object] = {}
        """Name → spec of the definitions that are in the registry."""
        self._accepted: dict[str, tuple[str, Object]] = {}
        """Name → group and accepted names; reading all definitions for each one would take long."""
        self._terminating: dict[str, str] = {}
        """Storage of instances → name of their definition, while it is being deleted."""
        store.listeners.append(self._changed)

    def restore(self) -> None:
        """Serve the definitions of a restored state."""
        entries = self._store.entries(CRDS)
        for entry in entries:
            crd = entry.load()
            names = (crd.get("status") or {}).get("acceptedNames") or {}
            self._accepted[entry.key[1]] = (crd["spec"]["group"], names)
        for entry in entries:
            self.reconcile(entry.key[1])

    def _changed(self, change: Change) -> None:
        name = change.entry.key[1] if change.storage == CRDS else self._terminating.get(change.storage)
        if name is not None:
            asyncio.get_running_loop().call_soon(self.reconcile, name)

    def reconcile(self, name: str) -> None:
        """Bring one definition a step further."""
        entry = self._store.get(CRDS, ("", name))
        if entry is None:
            self._withdraw(name)
            return
        crd = entry.load()
        if crd["metadata"].get("deletionTimestamp"):
            self._delete_instances(crd)
        else:
            self._establish(crd)

    def _establish(self, crd: Object) -> None:
        conflicts = list(self._conflicts(crd))
        status = with_conditions(crd.get("status") or {}, _name_conditions(conflicts), now())
        status["acceptedNames"] = _accepted(crd["spec"]["names"], conflicts)
        self._accepted[crd["metadata"]["name"]] = (crd["spec"]["group"], status["acceptedNames"])
        storage = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
        status["storedVersions"] = list(dict.fromkeys((*(status.get("storedVersions") or ()), *storage)))
        self._write_status(crd, status)
        if not conflicts:
            self._serve(crd)

    def _serve(self, crd: Object) -> None:
        name, spec = crd["metadata"]["name"], crd["spec"]
        if self._served.get(name) == spec:
            return
        self._registry.add_crd(crd)
        known = name in self._served
        self._served[name] = spec
        storage = qualified(spec["names"]["plural"], spec["group"])
        self._stored_fields.forget(storage)
        kinds = list(self._registry.same_storage(storage))
        if kinds and (known or self._store.entries(storage)):
            self._reread(kinds)
        self._hub.end_all(storage)  # open watches show the old schema; their clients come back at once

    def _reread(self, kinds: list[ResourceType]) -> None:
        """Show stored instances as the new schema wants them."""
        kind = next((kind for kind in kinds if kind.api_version == kind.storage_version), kinds[0])
        version = {"apiVersion": kind.storage_version}
        self._store.reread(kind.storage, lambda obj: kind.prepare_read(obj | version))

    def _withdraw(self, name: str) -> None:
        self._accepted.pop(name, None)
        self._terminating.pop(name, None)
        if self._served.pop(name, None) is None:
            return
        self._registry.remove_crd(name)
        self._hub.end_all(name)
        for other in set(self._accepted) - set(self._served):
            self.reconcile(other)  # it may have waited for the names that are free now

    def _delete_instances(self, crd: Object) -> None:
        name = crd["metadata"]["name"]
        self._serve(crd)  # a restored definition that is going away has instances to show until then
        self._terminating[name] = name
        for entry in self._store.entries(name):
            _delete_instance(self._store, name, entry)
        if self._store.entries(name):
            text = "CustomResource deletion is in progress"
            wanted = condition("Terminating", True, "InstanceDeletionInProgress", text)
            self._write_status(crd, with_conditions(crd.get("status") or {}, [wanted], now()))
            return
        remaining = [item for item in crd["metadata"].get("finalizers") or () if item != CLEANUP]
        if not remaining:
            self._store.remove(CRDS, ("", name))
        elif CLEANUP in crd["metadata"].get("finalizers", ()):
            self._store.put(CRDS, {**crd, "metadata": {**crd["metadata"], "finalizers": remaining}})

    def _conflicts(self, crd: Object) -> Iterator[tuple[str, str]]:
        """Yield (member of names, value) of every name that another definition of the group has taken."""
        spec, own = crd["spec"], crd["metadata"]["name"]
        taken: dict[str, set[str | None]] = {"resource": set(), "kind": set()}
        for name, (group, names) in self._accepted.items():
            if name != own and group == spec["group"]:
                taken["resource"] |= {names.get("plural"), names.get("singular")}
                taken["resource"] |= set(names.get("shortNames") or ())
                taken["kind"] |= {names.get("kind"), names.get("listKind")}
        for member, value in _names(spec["names"]):
            if value in taken["kind" if member in {"kind", "listKind"} else "resource"]:
                yield member, value

    def _write_status(self, crd: Object, status: Object) -> None:
        if status != crd.get("status"):
            self._store.put(CRDS, {**crd, "status": status})


def _names(names: Object) -> Iterator[tuple[str, str]]:
    for member in ("plural", "singular", "kind", "listKind"):
        if names.get(member):
            yield member, names[member]
    for short in names.get("shortNames") or ():
        yield "shortNames", short


def _name_conditions(conflicts: list[tuple[str, str]]) -> list[Object]:
    if conflicts:
        member, value = conflicts[0]
        reason = f"{member[0].upper()}{member[1:]}Conflict"
        return [
            condition("NamesAccepted", False, reason, f'"{value}" is already in use'),
            condition("Established", False, "NotAccepted", "not all names are accepted"),
        ]
    return [
        condition("NamesAccepted", True, "NoConflicts", "no conflicts found"),
        condition("Established", True, "InitialNamesAccepted", "the initial names have been accepted"),
    ]


def _accepted(names: Object, conflicts: list[tuple[str, str]]) -> Object:
    refused = set(conflicts)
    accepted: dict[str, Any] = {}
    for member, value in names.items():
        if isinstance(value, list):
            kept = [item for item in value if (member, item) not in refused]
            if kept:
                accepted[member] = kept
        elif (member, value) not in refused:
            accepted[member] = value
    return accepted


def _delete_instance(store: Store, storage: str, entry: Entry) -> None:
    """Delete an instance at once, or mark it if finalizers hold it."""
    obj = entry.load()
    about = obj["metadata"]
    if not about.get("finalizers"):
        store.remove(storage, entry.key)
    elif not about.get("deletionTimestamp"):
        marks = {"deletionTimestamp": timestamp(now()), "deletionGracePeriodSeconds": 0}
        store.put(storage, {**obj, "metadata": about | marks})
