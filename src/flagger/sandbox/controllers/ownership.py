"""Who belongs to whom, over all kinds: a graph of uids, kept from notices of change. No I/O."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from flagger.kube.objects import Kind, Object, is_terminating, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
KEPT = ("name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class Item:
    """An object and its kind."""

    kind: Kind
    object: Object


def references(obj: Object) -> Sequence[Object]:
    """The object's ownerReferences."""
    return obj["metadata"].get("ownerReferences") or ()


def metadata_only(obj: Object) -> Object:
    """What the graph needs of an object, for caches that serve nobody else."""
    return {"metadata": {key: obj["metadata"][key] for key in KEPT if key in obj["metadata"]}}


class Ownership:
    """All objects, and the edges from owners to dependents."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def get(self, uid: str) -> Item | None:
        """An object by uid."""
        return self._items.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        """What refers to an owner."""
        return [self._items[each] for each in self._dependents.get(uid, ()) if each in self._items]

    def referring_to(self, kinds: Collection[str]) -> list[str]:
        """The uids of objects with an owner of one of these kinds."""
        return [
            uid
            for uid, item in self._items.items()
            if any(reference["kind"] in kinds for reference in references(item.object))
        ]

    def change(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """Take over a change; the uids of the objects that have to be looked at because of it."""
        affected: list[str] = []
        if old is not None:
            self._unlink(old)
            if new is None or uid_of(new) != uid_of(old):
                self._items.pop(uid_of(old), None)
                affected += self._dependents.get(uid_of(old), ())
                affected += [reference["uid"] for reference in references(old)]  # they may wait for its end
        if new is not None:
            self._items[uid_of(new)] = Item(kind, new)
            for reference in references(new):
                self._dependents.setdefault(reference["uid"], set()).add(uid_of(new))
            if references(new) or is_terminating(new):
                affected.append(uid_of(new))
        return affected

    def _unlink(self, obj: Object) -> None:
        for reference in references(obj):
            dependents = self._dependents.get(reference["uid"], set())
            dependents.discard(uid_of(obj))
            if not dependents:
                self._dependents.pop(reference["uid"], None)
