"""What an informer knows: one kind's objects, kept right although news comes twice, late, or from two sides.

News comes from lists, from the watch, and from the answers to our own writes (`learn`, `forget`), which the
watch repeats a little later. Versions decide: an older state never replaces a newer one. No I/O.
"""

from collections.abc import Callable, Iterable, Iterator

import structlog

from flagger.kube.objects import (
    Object,
    is_newer,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from flagger.kube.watch import WatchEvent

OnChange = Callable[[Object | None, Object | None], None]
Slim = Callable[[Object], Object]
log = structlog.get_logger(__name__)


def drop_managed_fields(obj: Object) -> Object:
    """The object without `managedFields`, often half its size and of use to the server only."""
    if "managedFields" not in obj["metadata"]:
        return obj
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


class Cache:
    """Objects by namespace and name. Who reads them must not change them."""

    def __init__(self, on_change: OnChange | None = None, *, slim: Slim | None = None) -> None:
        """`on_change` gets the old and the new state; None is "absent". `slim` reduces what is kept."""
        self._on_change = on_change
        self._slim = slim or drop_managed_fields
        self._objects: dict[str, dict[str, Object]] = {}
        # Up to this version the watch has told us everything; "" before the first list.
        self.position = ""
        # Own deletions that the watch has not confirmed yet: key → uid.
        self._forgotten: dict[str, str] = {}

    def get(self, namespace: str, name: str) -> Object | None:
        """One object; the namespace of a cluster-wide one is ""."""
        return self._objects.get(namespace, {}).get(name)

    def items(self, namespace: str | None = None) -> Iterator[Object]:
        """The objects of a namespace, or all; a snapshot, safe against changes meanwhile."""
        chosen = self._objects.values() if namespace is None else [self._objects.get(namespace, {})]
        return iter([obj for named in chosen for obj in named.values()])

    def observe(self, event: WatchEvent) -> None:
        """Take over one event of the watch; bookmarks only move the position."""
        version = resource_version_of(event.object)
        if is_newer(version, self.position):
            self.position = version
        if event.type in {"ADDED", "MODIFIED"}:
            self._take(self._slim(event.object))
        elif event.type == "DELETED":
            self._drop(event.object)

    def replace(self, items: Iterable[Object], version: str) -> None:
        """Take over a whole list (of slimmed objects) seen at `version`; what it lacks has been deleted.

        What was learned after `version` stays, unless the server's history went backwards (a store that
        was restored or started anew): then only the list counts.
        """
        before = {key_of(obj): obj for obj in self.items()}
        restarted = is_newer(self.position, version, unsure=False)
        if restarted:
            self._forgotten.clear()
        after = {key_of(obj): obj for obj in items}
        self._forgotten = {
            key: uid for key, uid in self._forgotten.items() if key in after and uid_of(after[key]) == uid
        }
        after = {key: obj for key, obj in after.items() if key not in self._forgotten}
        if not restarted:
            for key, old in before.items():
                if is_newer(resource_version_of(old), seen_version(after.get(key), version), unsure=False):
                    after[key] = old
        self.position = version
        self._objects = {}
        for obj in after.values():
            self._put(obj)
        self._tell_differences(before, after)

    def clear(self) -> None:
        """Everything has been deleted."""
        before = {key_of(obj): obj for obj in self.items()}
        self._objects = {}
        self._forgotten = {}
        self._tell_differences(before, {})

    def learn(self, obj: Object, *, only_known: bool = False) -> None:
        """Take over the answer to our own write; `only_known` keeps objects out that are not here yet."""
        if not is_newer(resource_version_of(obj), self.position):
            return  # the watch is already past it and knows better, even if that is the object's deletion
        if only_known and self.get(namespace_of(obj), name_of(obj)) is None:
            return
        self._take(self._slim(obj))

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Take over a deletion of our own; later news of this very object is old news."""
        old = self.get(namespace, name)
        if old is None or uid_of(old) != uid:
            return
        self._forgotten[key_of(old)] = uid
        self._remove(old)
        self._tell(old, None)

    def _take(self, obj: Object) -> None:
        if self._forgotten.get(key_of(obj)) == uid_of(obj):
            return
        old = self.get(namespace_of(obj), name_of(obj))
        if old is not None and not is_newer(resource_version_of(obj), resource_version_of(old)):
            return
        self._put(obj)
        self._tell(old, obj)

    def _drop(self, obj: Object) -> None:
        key = key_of(obj)
        if self._forgotten.get(key) == uid_of(obj):
            del self._forgotten[key]
        old = self.get(namespace_of(obj), name_of(obj))
        # A newer state than this deletion: somebody made the object again, and we heard of that first.
        if old is None or is_newer(resource_version_of(old), resource_version_of(obj), unsure=False):
            return
        self._remove(old)
        self._tell(old, None)

    def _put(self, obj: Object) -> None:
        self._objects.setdefault(namespace_of(obj), {})[name_of(obj)] = obj

    def _remove(self, obj: Object) -> None:
        named = self._objects[namespace_of(obj)]
        del named[name_of(obj)]
        if not named:
            del self._objects[namespace_of(obj)]

    def _tell_differences(self, before: dict[str, Object], after: dict[str, Object]) -> None:
        for key, old in before.items():
            if key not in after:
                self._tell(old, None)
        for key, obj in after.items():
            known = before.get(key)
            if known is None or resource_version_of(known) != resource_version_of(obj):
                self._tell(known, obj)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(old, new)
        except Exception:
            # A listener's bug must not stop the cache that everybody else reads.
            log.exception("a change could not be handled", object=key_of(new or old or {}))


def seen_version(obj: Object | None, list_version: str) -> str:
    """The version a list vouches for: the object's own, or that of the list when the object is not in it."""
    return list_version if obj is None else resource_version_of(obj)
