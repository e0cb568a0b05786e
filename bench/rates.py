"""How often something can be done in a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

SECONDS = 2.0  # for each measurement


async def per_second(
    ask: Callable[[int], Awaitable[object]], in_flight: int = 1, seconds: float = SECONDS
) -> float:
    """Requests a second with that many under way; `ask` gets a number of its own each time."""
    numbers, done, start = iter(range(10**9)), 0, time.perf_counter()

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < start + seconds:
            await ask(next(numbers))
            done += 1

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return done / (time.perf_counter() - start)
