"""Keys that want attention: each is in line once, is worked on by one worker at a time, and waits after a failure."""

import asyncio
from collections import deque

SHORTEST = 0.005  # seconds before a failed key is tried again, doubled for each later failure
LONGEST = 30.0


class Queue:
    """Keys of objects, never their states: a late, lost or doubled notice costs a delay, not correctness."""

    def __init__(self) -> None:
        self._line: deque[str] = deque()
        self._wanted: set[str] = set()  # in line, or to be put in line when their worker is done
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def add(self, key: str) -> None:
        """Something about this key has changed."""
        if key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._working:
            self._line.append(key)
            self._filled.set()

    def add_later(self, key: str, seconds: float) -> None:
        """Look at this key again after a while; of several times asked for, the earliest counts."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= loop.time() + seconds:
                return
            known.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: str) -> None:
        del self._timers[key]
        self.add(key)

    async def take(self) -> str:
        """The next key; it is the caller's until `done`."""
        while not self._line:
            self._filled.clear()
            await self._filled.wait()
        key = self._line.popleft()
        self._wanted.discard(key)
        self._working.add(key)
        return key

    def done(self, key: str, *, again_after: float | None = None, failed: bool = False) -> None:
        """The work on a key has ended; it comes again if it changed meanwhile, failed, or is to be seen again."""
        self._working.discard(key)
        if key in self._wanted:
            self._line.append(key)
            self._filled.set()
        if failed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            again_after = min(LONGEST, SHORTEST * 2.0 ** min(failures, 32))
        else:
            self._failures.pop(key, None)
        if again_after is not None:
            self.add_later(key, again_after)

    def close(self) -> None:
        """Forget all that is to come."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
