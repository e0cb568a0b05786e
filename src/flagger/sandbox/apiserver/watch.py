"""The watch verb: changes as a stream of events, from a revision or from the present state.

The hub hands every change to the watches of its storage. A selector turns changes into transitions: an object
that starts to match is ADDED, one that stops is DELETED. Follows "Efficient detection of changes" and "Watch
bookmarks" of the Kubernetes API concepts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass

from aiohttp.web import StreamResponse

from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.lists import Selection, asked_revision, selection_of
from flagger.sandbox.apiserver.negotiation import JSON
from flagger.sandbox.apiserver.objects import Entry, at_revision, encode
from flagger.sandbox.apiserver.present import View, raw_of, show, view_of
from flagger.sandbox.apiserver.status_errors import ApiError, expired, invalid_options
from flagger.sandbox.apiserver.store import Change, ForgottenError, Store
from flagger.sandbox.apiserver.stream import ChunkStream, framed
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object

BOOKMARK_SECONDS = 60.0
FINAL_BOOKMARK_SECONDS = 2.0
"""How long before a watch ends the last bookmark is sent."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
Frames = dict[tuple[object, ...], bytes]
"""Encoded events of one change, by event type and view."""


class Watch:
    """One open watch: what it selects, how it shows objects, and the stream it writes to."""

    def __init__(self, stream: ChunkStream, selection: Selection, view: View, after: int) -> None:
        self.stream = stream
        self.selection = selection
        self.view = view
        self.after = after
        """Changes up to this revision are known to the client."""
        self._first = True

    def offer(self, change: Change, frames: Frames) -> None:
        """Send what a change means to this watch, if it means anything; `frames` are those of the change."""
        if change.revision > self.after and (event := self._event(change)):
            self.send(event, change, frames)

    def _event(self, change: Change) -> str:
        before = change.before is not None and self.selection.matches(change.before)
        after = not change.gone and self.selection.matches(change.entry)
        if before and after:
            return "MODIFIED"
        if after:
            return "ADDED"
        return "DELETED" if before else ""

    def send(self, event: str, change: Change, frames: Frames) -> None:
        """Write one event; watches that show it alike share the encoded form."""
        columns = self._first and self.view.media.shape == "Table"
        self._first = False
        key = (event, columns, *self.view.key())
        chunk = frames.get(key)
        if chunk is None:
            raw = show(self.view, raw_of(self.view.kind, _shown_entry(event, change)), columns=columns)
            chunk = frames[key] = event_chunk(event, raw)
        self.stream.send(chunk)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> None:
        """Tell the client up to which revision it has seen everything."""
        metadata: Object = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        kind = self.view.kind
        obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        self.stream.send(event_chunk("BOOKMARK", encode(obj)))


def _shown_entry(event: str, change: Change) -> Entry:
    """DELETED shows the last state that matched, under the revision of the change."""
    if event == "DELETED" and not change.gone and change.before is not None:
        return at_revision(change.before, change.revision)
    return change.entry


def event_chunk(event: str, raw: bytes) -> bytes:
    """Frame one line of a watch stream."""
    return framed(b'{"type":"%b","object":%b}\n' % (event.encode(), raw))


class Hub:
    """All open watches, by storage."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._closing = asyncio.Event()
        self._watches: dict[str, set[Watch]] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def announce(self, change: Change) -> None:
        """Hand a change to everybody it may concern."""
        frames: Frames = {}
        for watch in tuple(self._watches.get(change.storage, ())):
            watch.offer(change, frames)
        if self._waiters:
            self._release(change.revision)

    def _release(self, revision: int) -> None:
        for wanted, future in self._waiters:
            if wanted <= revision and not future.done():
                future.set_result(None)
        self._waiters = [(wanted, future) for wanted, future in self._waiters if not future.done()]

    async def reached(self, revision: int, seconds: float) -> bool:
        """Wait until the store has reached a revision; False if it did not in time."""
        if revision <= self.store.revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, future))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        return True

    def add(self, watch: Watch) -> None:
        """Start to deliver changes to a watch."""
        if self._closing.is_set():
            watch.stream.end()
        self._watches.setdefault(watch.selection.storage, set()).add(watch)

    def discard(self, watch: Watch) -> None:
        """Stop delivering."""
        self._watches.get(watch.selection.storage, set()).discard(watch)

    @property
    def count(self) -> int:
        """How many watches are open."""
        return sum(map(len, self._watches.values()))

    def close(self) -> None:
        """End all watches and everything else that runs long, now and from now on."""
        self._closing.set()
        self.end_all()

    async def unless_closing(self, work: Coroutine[None, None, None]) -> None:
        """Run something long, but not longer than the server runs."""
        closing = asyncio.ensure_future(self._closing.wait())
        running = asyncio.ensure_future(work)
        try:
            await asyncio.wait({closing, running}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
        finally:
            closing.cancel()
            running.cancel()

    def end_all(self, storage: str | None = None) -> None:
        """End all watches, or those of one storage, as if their time were over."""
        chosen = self._watches.values() if storage is None else [self._watches.get(storage, set())]
        for watch in [watch for watches in chosen for watch in watches]:
            watch.stream.end()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a watch begins: at a revision, or (None) with the present state."""

    revision: int | None
    bookmarks: bool
    initial_end: bool
    """Mark the end of the present state with a bookmark."""
    seconds: float


def start_of(call: Call) -> Start:
    """Read the parameters of a watch.

    Raises:
        ApiError: 422 for parameters that contradict each other, 400 or 500 for malformed ones.
    """
    initial, match = call.query.get("sendInitialEvents"), call.query.get("resourceVersionMatch", "")
    if causes := list(_initial_causes(initial, match)):
        raise invalid_options("ListOptions", *causes)
    revision = asked_revision(call)
    limit = call.integer("timeoutSeconds")
    wants_state = call.flag("sendInitialEvents") if initial is not None else not revision
    return Start(
        revision=None if wants_state else revision,
        bookmarks=call.flag("allowWatchBookmarks"),
        initial_end=initial is not None and wants_state and call.flag("allowWatchBookmarks"),
        seconds=float(limit) if limit and limit > 0 else random.uniform(1800, 3600),
    )


def _initial_causes(initial: str | None, match: str) -> Iterable[Cause]:
    field = "resourceVersionMatch"
    if initial is None and match:
        yield Cause("FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden for watch", field)
    if initial is not None and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        yield Cause("FieldValueForbidden", text, field)


async def serve_watch(hub: Hub, call: Call) -> StreamResponse:
    """Answer a watch; returns when the client goes, the time is over or the server stops."""
    selection, view, start = selection_of(call), view_of(call), start_of(call)
    stream = await ChunkStream.open(call.request, JSON)
    watch = Watch(stream, selection, view, start.revision or 0)
    try:
        begin(hub, watch, start)
        await _live(hub, watch, start)
    finally:
        hub.discard(watch)
    return stream.finish()


def begin(hub: Hub, watch: Watch, start: Start) -> None:
    """Send what lies between the start and now, and join the hub; nothing can happen in between."""
    if start.revision is None:
        _send_state(hub.store, watch)
        if start.initial_end:
            watch.bookmark(hub.store.revision, initial_end=True)
    else:
        try:
            missed = hub.store.since(start.revision, watch.selection.storage)
        except ForgottenError:
            _fail(watch, expired(f"too old resource version: {start.revision} ({hub.store.revision})"))
            return
        for change in missed:
            watch.offer(change, {})
    hub.add(watch)


def _send_state(store: Store, watch: Watch) -> None:
    for entry in store.entries(watch.selection.storage, watch.selection.namespace):
        if watch.selection.matches(entry):
            watch.send("ADDED", Change(watch.selection.storage, entry.revision, None, entry), {})
    watch.after = store.revision


def _fail(watch: Watch, error: ApiError) -> None:
    watch.stream.send(event_chunk("ERROR", encode(error.body())))
    watch.stream.end()


async def _live(hub: Hub, watch: Watch, start: Start) -> None:
    """Keep the stream going until its time is over, with bookmarks if the client wants them."""
    loop = asyncio.get_running_loop()
    end = loop.time() + start.seconds
    while (left := end - loop.time()) > 0:
        await watch.stream.pump(_pause(left))
        if watch.stream.closed or watch.stream.overrun:
            return
        if start.bookmarks and loop.time() < end:
            watch.bookmark(max(hub.store.revision, watch.after))


def _pause(left: float) -> float:
    """Return how long to wait before the next bookmark, the last one shortly before the end."""
    if left > FINAL_BOOKMARK_SECONDS:
        return min(BOOKMARK_SECONDS, left - FINAL_BOOKMARK_SECONDS)
    return left
