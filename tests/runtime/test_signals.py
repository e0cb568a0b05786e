"""Work that ends by itself, by an error, or because it was told to."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from flagger.runtime.signals import until_signalled


async def test_work_that_ends() -> None:
    """Then there is nothing left to do."""
    await until_signalled(asyncio.sleep(0))


async def test_work_that_fails() -> None:
    """Its error is everybody's."""

    async def work() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await until_signalled(work())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_work_that_is_told_to_stop(number: int) -> None:
    """It may clean up before it is over."""
    steps = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")

    await until_signalled(work())

    assert steps == ["cleaned up"]


async def test_work_that_fails_at_its_end() -> None:
    """An error of the cleaning up is not lost."""

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await until_signalled(work())


async def test_work_that_is_cancelled_from_outside() -> None:
    """Whoever waits for the work may call it off, which ends it too."""
    steps = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("cleaned up")

    task = asyncio.create_task(until_signalled(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert steps == ["cleaned up"]


async def test_signals_are_given_back() -> None:
    """Afterwards they mean again what they meant before."""
    before = signal.getsignal(signal.SIGTERM)
    await until_signalled(asyncio.sleep(0))

    assert signal.getsignal(signal.SIGTERM) == before
