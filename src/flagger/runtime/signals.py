"""How the process is asked to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

_STOPPING = (signal.SIGINT, signal.SIGTERM)


async def until_signalled(work: Coroutine[None, None, None]) -> None:
    """Do `work` until it ends or a SIGINT or SIGTERM comes; then it is cancelled and waited for.

    A second signal ends the process at once, with code 1. What `work` raises is raised, also in its end.
    """
    stop = asyncio.Event()
    task = asyncio.create_task(work, name="operator")
    with _signals(stop):
        waiting = asyncio.create_task(stop.wait(), name="signals")
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if not task.done():
                log.info("shutting down operator workers")
                task.cancel()
            await asyncio.wait({task, waiting})
    if not task.cancelled():
        task.result()


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def receive() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in _STOPPING:
        loop.add_signal_handler(number, receive)
    try:
        yield
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)
