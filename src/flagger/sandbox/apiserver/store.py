"""The state: every object, one revision counter, and a bounded history of changes.

In memory and synchronous; a write is done when the call returns. A journal, if there is one, makes it
durable afterwards, and the handler waits for that before it answers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from flagger.sandbox.apiserver.objects import Entry, Key, at_revision, entry_of
from flagger.sandbox.apiserver.types.resource_type import Object

HISTORY = 10_000
"""How many changes are remembered for watches and old pages; 410 beyond."""
HISTORY_BYTES = 32 * 1024 * 1024
"""How much JSON they may hold, whatever their number."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `before` is None for a new object; if `gone`, `entry` is the last state of a deleted one."""

    storage: str
    revision: int
    before: Entry | None
    entry: Entry
    gone: bool = False


class ForgottenError(Exception):
    """A revision is older than the history reaches."""


class _Bucket:
    """The objects of one storage, in key order."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.order: list[Key] = []

    def set(self, entry: Entry) -> None:
        if entry.key not in self.entries:
            insort(self.order, entry.key)
        self.entries[entry.key] = entry

    def drop(self, key: Key) -> None:
        if self.entries.pop(key, None):
            del self.order[bisect_left(self.order, key)]

    def select(self, namespace: str | None) -> Iterator[Entry]:
        keys = self.order if namespace is None else self.order[self._range(namespace)]
        return (self.entries[key] for key in keys)

    def _range(self, namespace: str) -> slice:
        # No namespace or name contains "\0", so this is the first key behind the namespace.
        return slice(
            bisect_left(self.order, (namespace, "")), bisect_left(self.order, (f"{namespace}\0", ""))
        )


class Store:
    """Objects by storage ("deployments.apps") and key."""

    def __init__(self, selectable: Callable[[str], Iterable[str]], *, history: int = HISTORY) -> None:
        self.revision = 0
        self.selectable = selectable
        self.listeners: list[Callable[[Change], None]] = []
        self._buckets: dict[str, _Bucket] = {}
        self._history: deque[Change] = deque()
        self._limit = history
        self._size = 0
        self._forgotten = 0

    def get(self, storage: str, key: Key) -> Entry | None:
        """Return one object."""
        bucket = self._buckets.get(storage)
        return bucket.entries.get(key) if bucket else None

    def entries(self, storage: str, namespace: str | None = None) -> list[Entry]:
        """Return the objects of a storage, of one namespace or of all, in key order."""
        bucket = self._buckets.get(storage)
        return list(bucket.select(namespace)) if bucket else []

    def put(self, storage: str, obj: Object) -> Entry:
        """Write an object (in its storage version) under the next revision."""
        entry = entry_of(obj, self.revision + 1, self.selectable(storage))
        bucket = self._bucket(storage)
        self._record(Change(storage, entry.revision, bucket.entries.get(entry.key), entry))
        bucket.set(entry)
        self._announce()
        return entry

    def remove(self, storage: str, key: Key) -> Entry:
        """Delete an object; returns its last state under the revision of the deletion."""
        bucket = self._bucket(storage)
        last = bucket.entries[key]
        entry = at_revision(last, self.revision + 1)
        self._record(Change(storage, entry.revision, last, entry, gone=True))
        bucket.drop(key)
        self._announce()
        return entry

    def since(self, revision: int, storage: str) -> list[Change]:
        """Return the changes of a storage after `revision`, oldest first.

        Raises:
            ForgottenError: the history does not reach that far back.
        """
        if revision < self._forgotten:
            raise ForgottenError
        newer = []
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            if change.storage == storage:
                newer.append(change)
        return newer[::-1]

    def entries_at(self, revision: int, storage: str, namespace: str | None = None) -> list[Entry]:
        """Return the objects as they were at `revision`, by undoing later changes.

        Raises:
            ForgottenError: the history does not reach that far back.
        """
        undone = self.since(revision, storage)
        if not undone:
            return self.entries(storage, namespace)
        state = {entry.key: entry for entry in self.entries(storage, namespace)}
        for change in reversed(undone):
            if namespace is None or change.entry.key[0] == namespace:
                state.pop(change.entry.key, None)
                if change.before is not None:
                    state[change.entry.key] = change.before
        return [state[key] for key in sorted(state)]

    def restore(self, revision: int, objects: Iterable[tuple[str, Entry]]) -> None:
        """Take over a saved state; nothing before `revision` is remembered."""
        self.revision = self._forgotten = revision
        for storage, entry in objects:
            self._bucket(storage).set(entry)

    def reread(self, storage: str, transform: Callable[[Object], Object]) -> None:
        """Change how stored objects read, without a new revision: their schema has changed."""
        bucket = self._bucket(storage)
        for key, entry in list(bucket.entries.items()):
            changed = entry_of(transform(entry.load()), entry.revision, self.selectable(storage))
            bucket.entries[key] = replace(entry, raw=changed.raw, fields=changed.fields)

    def counts(self) -> Mapping[str, int]:
        """Return how many objects each storage holds."""
        return {storage: len(bucket.order) for storage, bucket in self._buckets.items()}

    def _bucket(self, storage: str) -> _Bucket:
        return self._buckets.setdefault(storage, _Bucket())

    def _record(self, change: Change) -> None:
        self.revision = change.revision
        self._history.append(change)
        self._size += len(change.entry.raw)
        while len(self._history) > self._limit or self._size > HISTORY_BYTES:
            oldest = self._history.popleft()
            self._forgotten, self._size = oldest.revision, self._size - len(oldest.entry.raw)

    def _announce(self) -> None:
        change = self._history[-1]
        for listener in self.listeners:
            listener(change)
