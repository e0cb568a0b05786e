"""Answers that several Canaries share: who gets which, for how long, and what happens when one leaves."""

import asyncio
from datetime import timedelta

import pytest

from flagger.metrics.base import ProviderError, Reading, Sample
from flagger.metrics.readings import LONGEST, Readings, shareable

MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.looptime


class Counting:
    """A backend that takes a second, and answers with the number of the question."""

    def __init__(self) -> None:
        self.begun = self.done = 0

    async def check(self) -> ProviderError | None:
        return None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        self.begun += 1
        number = self.begun
        await asyncio.sleep(1)
        self.done += 1
        return Sample(float(number))


async def test_many_ask_once() -> None:
    """Who asks the same within the moment gets the same answer, on its way or there already."""
    readings, backend = Readings(), Counting()
    question = (backend, "up", MINUTE)
    together = await asyncio.gather(*(readings.ask(question, who=f"c{n}", age=2.5) for n in range(100)))
    later = await readings.ask(question, who="later", age=2.5)
    assert {*together, later} == {Sample(1.0)}
    assert backend.begun == 1


async def test_what_differs_is_asked_apart() -> None:
    """Another query, window or backend is another question."""
    readings, backend = Readings(), Counting()
    questions = [
        (backend, "up", MINUTE),
        (backend, "down", MINUTE),
        (backend, "up", 2 * MINUTE),
        (Counting(), "up", MINUTE),
    ]
    await asyncio.gather(*(readings.ask(question, who="c", age=5) for question in questions))
    assert backend.begun == 3


async def test_nobody_gets_an_answer_twice() -> None:
    """A Canary's next look is a new look, however soon."""
    readings, backend = Readings(), Counting()
    question = (backend, "up", MINUTE)
    assert await readings.ask(question, who="c", age=5) == Sample(1.0)
    assert await readings.ask(question, who="c", age=5) == Sample(2.0)
    assert await readings.ask(question, who="d", age=5) == Sample(2.0)


async def test_answers_grow_old() -> None:
    """An answer serves no longer than a quarter of an interval, and is then forgotten."""
    readings, backend = Readings(), Counting()
    question = (backend, "up", MINUTE)
    await readings.ask(question, who="a", age=2.5)
    await asyncio.sleep(2)
    assert await readings.ask(question, who="b", age=2.5) == Sample(2.0)
    await asyncio.sleep(LONGEST + 1)
    await readings.ask((backend, "other", MINUTE), who="b", age=2.5)
    assert list(readings._asked) == [(backend, "other", MINUTE)]


@pytest.mark.parametrize(("seconds", "age"), [(1, 0.25), (10, 2.5), (60, 5.0), (0, 0.0)])
def test_how_old(seconds: int, age: float) -> None:
    """The shorter the interval, the fresher the answer."""
    assert shareable(timedelta(seconds=seconds)) == age


async def test_who_leaves_takes_nothing_away() -> None:
    """A pass that is called off leaves the answer to the others; with the last one the question ends."""
    readings, backend = Readings(), Counting()
    question = (backend, "up", MINUTE)
    first, second = (asyncio.create_task(readings.ask(question, who=who, age=5)) for who in "ab")
    await asyncio.sleep(0.5)
    first.cancel()
    assert await second == Sample(1.0)
    third = asyncio.create_task(readings.ask(question, who="b", age=5))
    await asyncio.sleep(0.5)
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)
    assert await readings.ask(question, who="c", age=5) == Sample(3.0)
    assert (backend.begun, backend.done) == (3, 2)
