"""The end of namespaces: everything in them goes first."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from flagger.kube.apply import merge_patch
from flagger.kube.errors import NotFound
from flagger.kube.objects import NAMESPACE, Kind, Object, is_terminating, name_of, resource_version_of
from flagger.sandbox.controllers.discovery import Resource, resources
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.pods import condition_of, stamp

FINALIZER = "kubernetes"
SHORTEST, LONGEST = 0.1, 5.0  # seconds until what was left is looked at again


class Namespaces:
    """Empties namespaces that are being deleted, and lets them go."""

    kinds: Sequence[Kind] = (NAMESPACE,)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._waits: dict[str, float] = {}

    def keys(self, _kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """A namespace that is to go."""
        if new is None:
            self._waits.pop(name_of(old or {}), None)
        return [name_of(new)] if new is not None and is_terminating(new) else []

    async def reconcile(self, key: str) -> float | None:
        """Delete what is in a namespace; when nothing is left, finish it."""
        namespace = await self._cluster.get(NAMESPACE, None, key)
        if namespace is None or FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        remaining = await self._empty(key)
        if remaining:
            await self._write_conditions(namespace, remaining)
            wait = self._waits.get(key, SHORTEST)
            self._waits[key] = min(LONGEST, wait * 1.5)
            return wait
        await self._finalize(namespace)
        return None

    async def _empty(self, namespace: str) -> dict[str, list[Object]]:
        """Ask for the deletion of everything; what is still there, by resource."""
        remaining: dict[str, list[Object]] = {}
        for resource in await resources(self._cluster.client):
            if resource.kind.namespaced and {"list", "delete"} <= set(resource.verbs):
                items = (await self._cluster.client.list(resource.kind, namespace)).items
                if items and (left := await self._delete(resource, namespace, items)):
                    remaining[f"{resource.kind.plural}.{resource.kind.group}"] = left
        return remaining

    async def _delete(self, resource: Resource, namespace: str, items: Sequence[Object]) -> list[Object]:
        client, kind = self._cluster.client, resource.kind
        if "deletecollection" in resource.verbs:
            await client.raw("DELETE", kind.path(namespace))
        else:
            for item in items:
                try:
                    await client.delete(kind, name_of(item), namespace)
                except NotFound:
                    continue
        return (await client.list(kind, namespace)).items

    async def _write_conditions(self, namespace: Object, remaining: dict[str, list[Object]]) -> None:
        wanted = conditions(namespace, remaining, self._context.now())
        patch = merge_patch(
            namespace.get("status") or {}, {**namespace.get("status", {}), "conditions": wanted}
        )
        if patch is not None:
            body = {"metadata": {"resourceVersion": resource_version_of(namespace)}, "status": patch}
            await self._cluster.patch(NAMESPACE, name_of(namespace), None, body, subresource="status")

    async def _finalize(self, namespace: Object) -> None:
        finalizers = [entry for entry in namespace["spec"]["finalizers"] if entry != FINALIZER]
        body = {**namespace, "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": finalizers}}
        path = NAMESPACE.path(None, name_of(namespace), "finalize")
        headers = {"Content-Type": "application/json"}
        await self._cluster.client.raw("PUT", path, body=msgspec.json.encode(body), headers=headers)


def conditions(namespace: Object, remaining: dict[str, list[Object]], now: datetime) -> list[Object]:
    """The five conditions of a namespace on its way out."""
    count = ", ".join(
        f"{name} has {len(items)} resource instances" for name, items in sorted(remaining.items())
    )
    held: dict[str, int] = {}
    for items in remaining.values():
        for item in items:
            for finalizer in item["metadata"].get("finalizers") or ():
                held[finalizer] = held.get(finalizer, 0) + 1
    holders = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(held.items()))
    found = [
        (
            "NamespaceDeletionDiscoveryFailure",
            False,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            False,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {count}"),
        (
            "NamespaceFinalizersRemaining",
            bool(held),
            "SomeFinalizersRemain" if held else "ContentHasNoFinalizers",
            f"Some content in the namespace has finalizers remaining: {holders}"
            if held
            else "All content-preserving finalizers finished",
        ),
    ]
    return [condition(namespace, entry, now) for entry in found]


def condition(namespace: Object, entry: tuple[str, bool, str, str], now: datetime) -> Object:
    """A condition; its time is that of the last change of its status."""
    kind, true, reason, message = entry
    status = "True" if true else "False"
    known = condition_of(namespace, kind)
    since = known["lastTransitionTime"] if known and known["status"] == status else stamp(now)
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
