"""Background delivery: order, bounds, and nobody waits for anybody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog

from flagger.notify.courier import Courier


class Receiver:
    """Takes what it is given after `takes(item)` seconds."""

    def __init__(self, takes: Callable[[str], float] = lambda _: 0.0) -> None:
        self.takes = takes
        self.got: list[str] = []
        self.running = self.most = 0

    async def __call__(self, item: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.takes(item))
        self.running -= 1
        if item.startswith("bad"):
            raise RuntimeError(item)
        self.got.append(item)


@asynccontextmanager
async def delivering(courier: Courier[str]) -> AsyncIterator[Courier[str]]:
    task = asyncio.create_task(courier.run())
    yield courier
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.looptime
async def test_in_order_per_key() -> None:
    """Items of one key arrive one after the other, however long each takes."""
    receiver = Receiver(takes=lambda item: 5.0 if item == "a0" else 0.1)
    async with delivering(Courier("test", receiver)) as courier:
        for number in range(3):
            courier.send("a", f"a{number}")
            courier.send("b", f"b{number}")
        await courier.drain()
    assert receiver.got == ["b0", "b1", "b2", "a0", "a1", "a2"]
    assert courier.backlog == 0


@pytest.mark.looptime
async def test_a_hanging_key_holds_up_nobody() -> None:
    """A receiver that hangs for one key leaves the others alone."""
    receiver = Receiver(takes=lambda item: 1e6 if item == "hangs" else 0.0)
    async with delivering(Courier("test", receiver)) as courier:
        courier.send("a", "hangs")
        for number in range(100):
            courier.send(f"b{number}", str(number))
        await asyncio.sleep(0.01)
    assert len(receiver.got) == 100


@pytest.mark.looptime
async def test_keys_at_a_time_are_bounded() -> None:
    """No more keys than allowed are served at once; the others get their turn."""
    receiver = Receiver(takes=lambda _: 1.0)
    async with delivering(Courier("test", receiver, lanes=3)) as courier:
        for number in range(7):
            courier.send(str(number), str(number))
        await courier.drain()
        assert asyncio.get_running_loop().time() == pytest.approx(3.0, abs=0.1)
    assert (receiver.most, len(receiver.got)) == (3, 7)


async def test_sending_never_waits_and_the_oldest_goes() -> None:
    """Beyond its room a key loses its oldest item, but none that is to be kept."""
    receiver = Receiver()
    courier = Courier("test", receiver, room=3)
    with structlog.testing.capture_logs() as logs:
        courier.send("a", "end", keep=True)
        for number in range(5):
            courier.send("a", str(number))
    async with delivering(courier):
        await courier.drain()
    assert receiver.got == ["end", "3", "4"]
    assert (courier.dropped, len(logs)) == (3, 3)


async def test_kept_items_outgrow_the_room() -> None:
    """What must be kept is kept, even when there is nothing else to drop."""
    receiver = Receiver()
    courier = Courier("test", receiver, room=1)
    for number in range(3):
        courier.send("a", str(number), keep=True)
    async with delivering(courier):
        await courier.drain()
    assert (receiver.got, courier.dropped) == (["0", "1", "2"], 0)


async def test_an_undeliverable_item_does_not_stop_the_rest() -> None:
    """An unexpected failure is logged, and the next item is delivered."""
    receiver = Receiver()
    async with delivering(Courier("test", receiver)) as courier:
        with structlog.testing.capture_logs() as logs:
            courier.send("a", "bad")
            courier.send("a", "good")
            await courier.drain()
    assert receiver.got == ["good"]
    assert [line["log_level"] for line in logs] == ["error"]


async def test_cancelling_ends_deliveries() -> None:
    """When `run` is cancelled, nothing goes on in the background."""
    receiver = Receiver(takes=lambda _: 1e6)
    async with delivering(Courier("test", receiver)) as courier:
        courier.send("a", "never")
        await asyncio.sleep(0.01)
        assert receiver.running == 1
    assert len(asyncio.all_tasks()) == 1
