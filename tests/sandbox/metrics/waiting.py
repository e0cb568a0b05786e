"""Waiting for what will be true soon."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")


async def until(ask: Callable[[], Awaitable[Answer]], *, within: float = 10.0) -> Answer:
    """The first answer that is true; fails after `within` seconds and shows the last one."""
    answer = None
    try:
        async with asyncio.timeout(within):
            while not (answer := await ask()):  # noqa: ASYNC110 -- the condition is outside this process
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within} s; last answer: {answer!r}") from None
    return answer
