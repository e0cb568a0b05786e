"""Delivery in the background: in order per key, bounded, and never in the way of who sends."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

ROOM = 100  # items of one key that may wait
LANES = 16  # keys that are served at the same time

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Parcel(Generic[T]):
    item: T
    keep: bool


class Courier(Generic[T]):
    """Hands items to `deliver`, which does its own retries; items of one key one after the other.

    When a key has too many items waiting, its oldest one goes that was not sent with `keep`.
    """

    def __init__(
        self, name: str, deliver: Callable[[T], Awaitable[None]], *, room: int = ROOM, lanes: int = LANES
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._room = room
        self._free = asyncio.Semaphore(lanes)
        self._waiting: dict[str, deque[_Parcel[T]]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0
        """Items given up because too many were waiting."""

    @property
    def backlog(self) -> int:
        """Number of items that wait; those being delivered do not count."""
        return sum(len(lane) for lane in self._waiting.values())

    def send(self, key: str, item: T, *, keep: bool = False) -> None:
        """Queue an item behind the others of `key`; returns at once."""
        lane = self._waiting.get(key)
        if lane is None:
            lane = self._waiting[key] = deque()
            self._ready.put_nowait(key)
            self._idle.clear()
        lane.append(_Parcel(item, keep))
        if len(lane) > self._room:
            self._drop_one(key, lane)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._free.acquire()
                key = await self._ready.get()
                group.create_task(self._serve(key), name=f"{self._name} {key}")

    async def drain(self) -> None:
        """Wait until nothing is waiting or being delivered."""
        await self._idle.wait()

    async def _serve(self, key: str) -> None:
        """Deliver the items of a key until none is left."""
        lane = self._waiting[key]
        try:
            while lane:
                await self._attempt(key, lane.popleft().item)
        finally:
            self._free.release()
        del self._waiting[key]
        if not self._waiting:
            self._idle.set()

    async def _attempt(self, key: str, item: T) -> None:
        try:
            await self._deliver(item)
        except Exception:  # one message that cannot be delivered must not stop all others
            log.exception("delivery failed", courier=self._name, key=key)

    def _drop_one(self, key: str, lane: deque[_Parcel[T]]) -> None:
        oldest = next((parcel for parcel in lane if not parcel.keep), None)
        if oldest is not None:
            lane.remove(oldest)
            self.dropped += 1
            log.warning("too much to deliver, the oldest message is dropped", courier=self._name, key=key)
