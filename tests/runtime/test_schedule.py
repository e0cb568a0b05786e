"""When keys are looked at, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from flagger.runtime.schedule import Schedule, double

pytestmark = pytest.mark.looptime(start=0)


@dataclass
class Log:
    """A tick that notes when it began, takes `lasts` seconds and asks to be called again after `every`.

    The first `fails` ticks of the key `a` end in an exception.
    """

    every: float | None = 10.0
    lasts: float = 0.0
    fails: int = 0
    begun: list[tuple[str, float]] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    worst: int = 0

    async def __call__(self, key: str) -> float | None:
        self.begun.append((key, asyncio.get_running_loop().time()))
        self.running[key] += 1
        self.worst = max(self.worst, self.running[key])
        try:
            await asyncio.sleep(self.lasts)
            if key == "a" and len(self.times()) <= self.fails:
                raise RuntimeError("broken")
            return self.every
        finally:
            self.running[key] -= 1

    def times(self, key: str = "a") -> list[float]:
        return [time for name, time in self.begun if name == key]


@asynccontextmanager
async def running(tick: Log, **options: int | Callable[[int], float]) -> AsyncIterator[Schedule]:
    """A schedule at work."""
    schedule = Schedule(tick, **options)
    task = asyncio.create_task(schedule.run())
    try:
        yield schedule
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_ticks_at_once_and_then_regularly() -> None:
    """The interval counts from the beginning of a tick to that of the next."""
    async with running(log := Log(every=10, lasts=3)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(25)

    assert log.times() == [0, 10, 20]


async def test_rests_until_it_is_woken() -> None:
    """A tick that asks for nothing is not repeated by time."""
    async with running(log := Log(every=None)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(1000)
        schedule.wake("a")
        await asyncio.sleep(1)

    assert log.times() == [0, 1000]


async def test_wake_ups_coalesce() -> None:
    """However often a key is woken, it is looked at once."""
    async with running(log := Log(every=None)) as schedule:
        for _ in range(100):
            schedule.wake("a")
        await asyncio.sleep(5)

    assert log.times() == [0]


async def test_a_wake_up_during_a_tick_comes_right_after_it() -> None:
    """What changed during a tick may not have been seen by it; two ticks never overlap."""
    async with running(log := Log(every=100, lasts=5)) as schedule:
        schedule.wake("a")
        for _ in range(4):
            await asyncio.sleep(1)
            schedule.wake("a")
        await asyncio.sleep(50)

    assert (log.times(), log.worst) == ([0, 5], 1)


async def test_an_early_wake_up_moves_the_next_tick() -> None:
    """The pace goes on from the tick that was brought forward."""
    async with running(log := Log(every=10)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(4)
        schedule.wake("a")
        await asyncio.sleep(12)

    assert log.times() == [0, 4, 14]


async def test_a_late_wake_up_moves_nothing() -> None:
    """An earlier plan stands."""
    async with running(log := Log(every=10)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(4)
        schedule.wake("a", 60)
        await asyncio.sleep(8)

    assert log.times() == [0, 10]


async def test_a_slow_tick_is_followed_by_one_more() -> None:
    """What was missed meanwhile is not made up for."""
    async with running(log := Log(every=10, lasts=25)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(60)

    assert (log.times(), log.worst) == ([0, 25, 50], 1)


@pytest.mark.parametrize(
    ("after", "times"),
    [pytest.param(30, [0, 34], id="longer"), pytest.param(2, [0, 6, 16, 26, 36], id="shorter")],
)
async def test_another_interval_rearms_the_timer(after: float, times: list[float]) -> None:
    """No tick of its own for it: only the next one moves."""
    async with running(log := Log(every=10)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(4)
        schedule.rearm("a", after)
        await asyncio.sleep(35)

    assert log.times() == times


async def test_another_interval_during_a_tick() -> None:
    """A tick under way is not cut short and not followed at once."""
    async with running(log := Log(every=60, lasts=5)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(1)
        assert schedule.is_running("a")
        schedule.rearm("a", 10)
        await asyncio.sleep(20)

    assert log.times() == [0, 11]


async def test_failures_are_repeated_ever_later() -> None:
    """A bug of one Canary's tick costs nobody else anything; a success begins anew."""
    async with running(log := Log(every=100, fails=3), backoff=lambda n: 2.0**n) as schedule:
        schedule.wake("a")
        await asyncio.sleep(3)
        schedule.wake("b")
        await asyncio.sleep(47)

    assert log.times("a") == [0, 2, 6, 14]
    assert log.times("b") == [3]


async def test_the_usual_patience() -> None:
    """Doubled each time, up to a minute."""
    assert [double(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 1000)] == [2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_dropped_key_is_not_looked_at() -> None:
    """Neither by a plan nor after the tick that is under way."""
    async with running(log := Log(every=10, lasts=5)) as schedule:
        schedule.wake("a")
        schedule.wake("b", 3)
        await asyncio.sleep(1)
        schedule.drop("a")
        schedule.drop("b")
        schedule.drop("never known")
        await asyncio.sleep(50)
        assert len(schedule) == 0

    assert log.begun == [("a", 0)]


async def test_a_namesake_waits_for_the_tick_under_way() -> None:
    """Deleted and made again at once: the two must not work beside each other."""
    async with running(log := Log(every=None, lasts=5)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(1)
        schedule.drop("a")
        schedule.wake("a")
        await asyncio.sleep(20)

    assert (log.times(), log.worst) == ([0, 5], 1)


async def test_a_namesake_starts_with_a_plan_of_its_own() -> None:
    """What was planned for the old one is forgotten."""
    async with running(log := Log(every=None)) as schedule:
        schedule.wake("a", 10)
        schedule.drop("a")
        schedule.wake("a", 20)
        await asyncio.sleep(30)

    assert log.times() == [20]


async def test_no_more_at_once_than_allowed() -> None:
    """The others wait for their turn."""
    async with running(log := Log(every=None, lasts=1), concurrency=3) as schedule:
        for number in range(9):
            schedule.wake(f"key-{number}")
        await asyncio.sleep(10)

    assert [time for _, time in log.begun] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_thousands_of_keys() -> None:
    """Each keeps its pace, and none is looked at twice at once."""
    keys = [f"key-{number}" for number in range(3000)]
    async with running(log := Log(every=10)) as schedule:
        for number, key in enumerate(keys):
            schedule.wake(key, number % 10)
        await asyncio.sleep(29.5)

    assert (len(log.begun), log.worst) == (9000, 1)
    assert {len(log.times(key)) for key in keys[:50]} == {3}


async def test_ends_with_its_ticks() -> None:
    """Nothing goes on after the end."""
    async with running(log := Log(every=10, lasts=100)) as schedule:
        schedule.wake("a")
        await asyncio.sleep(1)

    assert log.running["a"] == 0
