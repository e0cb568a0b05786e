"""When each Canary is looked at: one tick at a time per key, by timer or by wake-up.

Keys only, never events: a tick reads everything again, so a wake-up that comes twice or late does no harm.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

CONCURRENCY = (
    1024  # ticks; most of them wait for hooks and metrics, and those that hang must not hold up others
)

Tick = Callable[[str], Awaitable[float | None]]
"""Looks at one key; returns the seconds after which to look again, or None to wait for a wake-up."""


@dataclass(slots=True)
class _Entry:
    """A key. `serial` is that of the place in the heap that counts; `dropped`, that it ends with its tick."""

    due: float | None = None
    running: bool = False
    dropped: bool = False
    failures: int = 0
    serial: int = 0


def double(failures: int) -> float:
    """Seconds to wait after the nth failure in a row, from 1: 2, 4, 8, … 60."""
    return min(60.0, 2.0 ** min(failures, 10))


class Schedule:
    """A heap of due times over the loop's clock and a bounded number of ticks under way.

    `backoff` gives the seconds to wait after the nth failure in a row, from 1.
    """

    def __init__(
        self, tick: Tick, *, concurrency: int = CONCURRENCY, backoff: Callable[[int], float] = double
    ) -> None:
        self._tick = tick
        self._slots = asyncio.Semaphore(concurrency)
        self._backoff = backoff
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._serials = itertools.count(1)
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def wake(self, key: str, after: float = 0.0) -> None:
        """Look at `key` in `after` seconds, or earlier if that is due already."""
        entry = self._entries.setdefault(key, _Entry())
        entry.dropped = False
        due = asyncio.get_running_loop().time() + after
        if entry.due is None or due < entry.due:
            self._set(key, entry, due)

    def rearm(self, key: str, after: float) -> None:
        """Look at `key` in `after` seconds and not before; beside a tick under way, as `wake`."""
        entry = self._entries.get(key)
        if entry is not None and not entry.running:
            entry.due = None
        self.wake(key, after)

    def is_running(self, key: str) -> bool:
        """Whether a tick of `key` is under way."""
        entry = self._entries.get(key)
        return entry is not None and entry.running

    def drop(self, key: str) -> None:
        """Forget `key`; a tick under way ends but is not followed by another."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.due, entry.serial = None, 0
        entry.dropped = True  # kept to its end: a namesake that comes meanwhile must not tick beside it
        if not entry.running:
            del self._entries[key]

    async def run(self) -> None:
        """Tick what is due, until cancelled; ticks under way are cancelled too."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.acquire()
                key, entry = await self._next()
                entry.due, entry.running, entry.serial = None, True, 0
                group.create_task(self._run(key, entry), name=f"tick {key}")

    async def _next(self) -> tuple[str, _Entry]:
        """The key that is due first, once it is due; one that is being looked at waits for its end."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            while self._heap:
                due, serial, key = self._heap[0]
                entry = self._entries.get(key)
                if entry is None or entry.serial != serial or entry.running:
                    heapq.heappop(self._heap)
                    continue
                if due > loop.time():
                    break
                heapq.heappop(self._heap)
                return key, entry
            await self._wait(self._heap[0][0] - loop.time() if self._heap else None)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _run(self, key: str, entry: _Entry) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            again = await self._tick(key)
            entry.failures = 0
        except Exception:  # one Canary's failure is not another's
            entry.failures += 1
            again = self._backoff(entry.failures)
            begun = asyncio.get_running_loop().time()
            namespace, _, name = key.partition("/")
            log.exception("tick failed", canary=f"{name}.{namespace}", retry_seconds=again)
        finally:
            entry.running = False
            self._slots.release()
        self._replan(key, entry, None if again is None else begun + again)

    def _replan(self, key: str, entry: _Entry, due: float | None) -> None:
        """Plan the next tick; a wake-up that came during this one goes first."""
        if entry.dropped:
            del self._entries[key]
            return
        if entry.due is None or (due is not None and due < entry.due):
            entry.due = due
        if entry.due is not None:
            self._set(key, entry, entry.due)

    def _set(self, key: str, entry: _Entry, due: float) -> None:
        entry.due, entry.serial = due, next(self._serials)
        heapq.heappush(self._heap, (due, entry.serial, key))
        self._changed.set()
