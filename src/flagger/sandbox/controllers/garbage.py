"""The garbage collector: what belongs to something that is gone goes too. Who belongs to whom is `ownership.py`'s."""

import asyncio
from functools import partial

import structlog

from flagger.kube.cluster import Cluster
from flagger.kube.errors import KubeError, NotFound
from flagger.kube.objects import (
    CRD,
    Kind,
    Object,
    is_terminating,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from flagger.sandbox.controllers.discovery import resources
from flagger.sandbox.controllers.loop import WORKERS, Context, work
from flagger.sandbox.controllers.ownership import FOREGROUND, ORPHAN, Item, Ownership, references
from flagger.sandbox.controllers.pods import condition_of
from flagger.sandbox.controllers.queue import Queue

GATHER = 0.05  # seconds in which new definitions are gathered before discovery is read
LEFT_ALONE = frozenset({"events"})  # they are many, and expire by themselves

log = structlog.get_logger(__name__)


class GarbageCollector:
    """Follows every resource there is, also those defined later."""

    def __init__(self, context: Context) -> None:
        self._cluster: Cluster = context.cluster
        self._queue = Queue()
        self._graph = Ownership()
        self._kinds: dict[tuple[str, str], Kind] = {}  # group, kind → the version that is followed
        self._definitions = asyncio.Event()
        self._defined: set[str] = set()

    async def run(self) -> None:
        """Collect until cancelled."""
        self._cluster.subscribe(CRD, self._definition_changed)
        await self._discover()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_definitions())
                for _ in range(WORKERS):
                    group.create_task(work(self._reconcile, self._queue, "garbage-collector"))
        finally:
            self._queue.close()

    def _definition_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._defined.discard(name_of(old or {}))
            return
        established = condition_of(new, "Established")
        if established and established["status"] == "True" and name_of(new) not in self._defined:
            self._defined.add(name_of(new))
            self._definitions.set()

    async def _follow_definitions(self) -> None:
        while True:
            await self._definitions.wait()
            await asyncio.sleep(GATHER)
            self._definitions.clear()
            try:
                await self._discover()
            except KubeError as error:
                log.warning("discovery failed; trying again", problem=str(error))
                await asyncio.sleep(1.0)
                self._definitions.set()

    async def _discover(self) -> None:
        """Follow the resources that are new, and look again at what refers to them."""
        new = []
        for resource in await resources(self._cluster.client):
            kind = resource.kind
            usable = {"list", "watch", "delete"} <= set(resource.verbs) and kind.plural not in LEFT_ALONE
            if usable and (kind.group, kind.kind) not in self._kinds:
                self._kinds[kind.group, kind.kind] = kind
                self._cluster.subscribe(kind, partial(self._changed, kind))
                new.append(kind)
        for kind in new:
            try:
                await self._cluster.list(kind, "default")
            except KubeError as error:
                log.warning("a kind is not followed yet", kind=kind.resource, problem=str(error))
        for uid in self._graph.referring_to({kind.kind for kind in new}):
            self._queue.add(uid)

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for uid in self._graph.change(kind, old, new):
            self._queue.add(uid)

    async def _reconcile(self, uid: str) -> float | None:
        item = self._graph.get(uid)
        if item is None:
            return None
        if is_terminating(item.object):
            finalizers = item.object["metadata"].get("finalizers") or ()
            if FOREGROUND in finalizers:
                await self._wait_for_dependents(item)
            elif ORPHAN in finalizers:
                await self._orphan_dependents(item)
        elif references(item.object):
            await self._judge(item)
        return None

    async def _judge(self, item: Item) -> None:
        """Delete an object whose owners are all gone or going; else remove the references to those."""
        solid, waiting = 0, set()
        dangling = set()
        for reference in references(item.object):
            owner = self._graph.get(reference["uid"])
            if owner is None or not may_own(owner.object, item.object):
                if await self._exists(reference, item):
                    solid += 1
                else:
                    dangling.add(reference["uid"])
            elif is_waiting(owner.object) and reference.get("blockOwnerDeletion"):
                waiting.add(reference["uid"])
            else:
                solid += 1
        if solid and dangling | waiting:
            await self._drop_references(item, dangling | waiting)
        elif not solid:
            foreground = bool(waiting and self._graph.dependents(uid_of(item.object)))
            await self._delete(item, foreground=foreground)

    async def _exists(self, reference: Object, item: Item) -> bool:
        """Ask the server for an owner that is not in the graph; one of an unknown kind is given the benefit."""
        group = reference["apiVersion"].rpartition("/")[0]
        kind = self._kinds.get((group, reference["kind"]))
        if kind is None:
            return True
        namespace = namespace_of(item.object) or None
        if kind.namespaced and namespace is None:
            return False  # nothing in a namespace can own what is in none
        try:
            owner = await self._cluster.client.get(
                kind, reference["name"], namespace if kind.namespaced else None
            )
        except NotFound:
            return False
        return bool(uid_of(owner) == reference["uid"])

    async def _delete(self, item: Item, *, foreground: bool) -> None:
        finalizers = item.object["metadata"].get("finalizers") or ()
        policy = "Foreground" if foreground or FOREGROUND in finalizers else "Background"
        if ORPHAN in finalizers:
            policy = "Orphan"
        obj = item.object
        namespace = namespace_of(obj) or None
        await self._cluster.client.delete(
            item.kind, name_of(obj), namespace, propagation=policy, uid=uid_of(obj)
        )

    async def _wait_for_dependents(self, item: Item) -> None:
        """Have the dependents of a foreground deletion deleted; let the owner go when no blocking one is left."""
        blocked = False
        for dependent in self._graph.dependents(uid_of(item.object)):
            if not is_terminating(dependent.object):
                self._queue.add(uid_of(dependent.object))
            blocked = blocked or blocks(dependent.object, item.object)
        if not blocked:
            await self._drop_finalizer(item, FOREGROUND)

    async def _orphan_dependents(self, item: Item) -> None:
        for dependent in self._graph.dependents(uid_of(item.object)):
            await self._drop_references(dependent, {uid_of(item.object)})
        await self._drop_finalizer(item, ORPHAN)

    async def _drop_references(self, item: Item, uids: set[str]) -> None:
        kept = [reference for reference in references(item.object) if reference["uid"] not in uids]
        await self._patch(item, {"ownerReferences": kept or None})

    async def _drop_finalizer(self, item: Item, finalizer: str) -> None:
        kept = [entry for entry in item.object["metadata"].get("finalizers") or () if entry != finalizer]
        await self._patch(item, {"finalizers": kept or None})

    async def _patch(self, item: Item, metadata: Object) -> None:
        obj = item.object
        metadata = {**metadata, "uid": uid_of(obj), "resourceVersion": resource_version_of(obj)}
        await self._cluster.client.patch(
            item.kind, name_of(obj), namespace_of(obj) or None, {"metadata": metadata}
        )


def may_own(owner: Object, dependent: Object) -> bool:
    """Owners are in the same namespace, or in none."""
    return namespace_of(owner) in {"", namespace_of(dependent)}


def is_waiting(owner: Object) -> bool:
    """Is an owner being deleted, and stays until its dependents are gone?"""
    return is_terminating(owner) and FOREGROUND in (owner["metadata"].get("finalizers") or ())


def blocks(dependent: Object, owner: Object) -> bool:
    """Does a foreground deletion wait for this dependent?"""
    uid = uid_of(owner)
    return any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in references(dependent))
