"""Who belongs to whom: objects by the uid of their controller, kept from the caches; adoption and release."""

from collections.abc import Iterable, Sequence

from flagger.kube.cluster import Cluster
from flagger.kube.objects import (
    Kind,
    Object,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    resource_version_of,
    uid_of,
)
from flagger.sandbox.controllers.selectors import matches


def controller_of(obj: Object) -> Object | None:
    """The ownerReference of the object's controller, if it has one."""
    references = obj.get("metadata", {}).get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def owner_keys(kind: Kind, *states: Object | None) -> set[str]:
    """The keys of the controllers of a given kind that an object has or had."""
    found = set()
    for obj in states:
        reference = controller_of(obj) if obj else None
        if (
            obj
            and reference
            and reference["kind"] == kind.kind
            and reference["apiVersion"] == kind.api_version
        ):
            found.add(f"{namespace_of(obj)}/{reference['name']}")
    return found


class Owned:
    """The objects of one kind, by owner."""

    def __init__(self, cluster: Cluster, kind: Kind) -> None:
        self._cluster = cluster
        self._kind = kind
        # By uid of the controller; orphans by "/namespace".
        self._by_owner: dict[str, dict[str, Object]] = {}
        cluster.subscribe(kind, self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            place = place_of(old)
            self._by_owner.get(place, {}).pop(key_of(old), None)
            if not self._by_owner.get(place):
                self._by_owner.pop(place, None)
        if new is not None:
            self._by_owner.setdefault(place_of(new), {})[key_of(new)] = new

    def of(self, owner: Object) -> list[Object]:
        """What is controlled by an object."""
        return list(self._by_owner.get(uid_of(owner), {}).values())

    def by_uid(self, uid: str) -> Object | None:
        """The object with this uid."""
        found = (obj for objects in self._by_owner.values() for obj in objects.values())
        return next((obj for obj in found if uid_of(obj) == uid), None)

    def orphans(self, namespace: str) -> list[Object]:
        """What no object controls."""
        return list(self._by_owner.get(f"/{namespace}", {}).values())

    async def claim(self, owner_kind: Kind, owner: Object) -> list[Object]:
        """What belongs to an object: matching orphans are adopted, what matches no more is released."""
        selector = owner["spec"]["selector"]
        mine = []
        for obj in self.of(owner):
            if matches(selector, labels_of(obj)):
                mine.append(obj)
            elif not is_terminating(owner):
                await self._set_owners(obj, [r for r in owners(obj) if r["uid"] != uid_of(owner)])
        if is_terminating(owner):
            return mine
        orphans = [obj for obj in self.orphans(namespace_of(owner)) if not is_terminating(obj)]
        adoptable = [obj for obj in orphans if matches(selector, labels_of(obj))]
        reference = owner_reference(owner_kind, owner)
        return mine + [await self._set_owners(obj, [*owners(obj), reference]) for obj in adoptable]

    async def _set_owners(self, obj: Object, references: Sequence[Object]) -> Object:
        metadata = {"resourceVersion": resource_version_of(obj), "ownerReferences": list(references) or None}
        return await self._cluster.patch(self._kind, name_of(obj), namespace_of(obj), {"metadata": metadata})


def owners(obj: Object) -> Iterable[Object]:
    """The object's ownerReferences."""
    return obj["metadata"].get("ownerReferences") or ()


def place_of(obj: Object) -> str:
    """Where `Owned` keeps an object."""
    reference = controller_of(obj)
    return str(reference["uid"]) if reference else f"/{namespace_of(obj)}"


class ByNamespace:
    """The objects of one kind, by namespace: for notices of change, which cannot wait for a list."""

    def __init__(self, cluster: Cluster, kind: Kind) -> None:
        self._objects: dict[str, dict[str, Object]] = {}
        cluster.subscribe(kind, self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._objects.get(namespace_of(old), {}).pop(name_of(old), None)
        if new is not None:
            self._objects.setdefault(namespace_of(new), {})[name_of(new)] = new

    def of(self, namespace: str) -> list[Object]:
        """Those of a namespace."""
        return list(self._objects.get(namespace, {}).values())

    def all(self) -> list[Object]:
        """Those of all namespaces."""
        return [obj for objects in self._objects.values() for obj in objects.values()]
