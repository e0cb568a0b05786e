"""The embedded engine scrapes what it is aimed at, whatever the targets do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest

from flagger.sandbox.metrics.embedded import EmbeddedEngine
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.listening import HOST
from flagger.sandbox.metrics.scrape import Pace, Scraper, new_session
from flagger.sandbox.metrics.store import Limits, SeriesStore
from flagger.sandbox.metrics.targets import Target
from tests.sandbox.metrics.target import ScriptedTarget, scripted_target
from tests.sandbox.metrics.waiting import until

PACE = Pace(timedelta(milliseconds=50), timedelta(milliseconds=300))


@dataclass(slots=True)
class Running:
    """A running engine and a client of its API."""

    engine: EmbeddedEngine
    http: aiohttp.ClientSession
    base: str

    async def query(self, text: str) -> dict[str, float]:
        """The values now, by metric name and `n`."""
        async with self.http.get(f"{self.base}/api/v1/query", params={"query": text}) as response:
            data = (await response.json())["data"]
        return {
            item["metric"].get("__name__", "") + item["metric"].get("n", ""): float(item["value"][1])
            for item in data["result"]
        }

    async def health(self) -> tuple[str, str]:
        """Health and last error of the only target."""
        async with self.http.get(f"{self.base}/api/v1/targets") as response:
            (target,) = (await response.json())["data"]["activeTargets"]
        return target["health"], target["lastError"]


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """An engine that runs for the duration of the block."""
    engine = EmbeddedEngine(Limits(), PACE)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(engine.run(port.set_result))
    async with aiohttp.ClientSession() as http:
        yield Running(engine, http, f"http://{HOST}:{await port}")
        task.cancel()
        await asyncio.wait([task])


def as_target(scripted: ScriptedTarget, **labels: str) -> Target:
    """The scripted target as the engine knows it."""
    return Target(labels_of({"job": "j", **labels}), scripted.address)


async def test_scrapes_again_and_again() -> None:
    """Each interval brings a sample."""
    async with scripted_target() as scripted, running() as server:
        server.engine.aim(frozenset({as_target(scripted)}))

        async def five_samples() -> bool:
            return (await server.query("count_over_time(a[1m])")).get("", 0) >= 5

        await until(five_samples)
        assert scripted.scrapes >= 5
        assert await server.query("up") == {"up": 1.0}
        assert await server.health() == ("up", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"status": 503}, "HTTP status 503 Service Unavailable", id="error"),
        pytest.param({"body": "a 1\nb\n"}, "not a sample: 'b'", id="bad body"),
        pytest.param({"body": "a 1\n", "content_type": "application/openmetrics-text"}, "EOF", id="cut body"),
        pytest.param({"delay": 1.0}, "no answer within 0.3 s", id="slow"),
    ],
)
async def test_trouble_and_recovery(change: dict[str, object], words: str) -> None:
    """A target in trouble is down, says why, and comes back."""
    async with scripted_target() as scripted, running() as server:
        server.engine.aim(frozenset({as_target(scripted)}))

        async def value() -> dict[str, float]:
            return await server.query("a")

        async def down() -> bool:
            return (await server.query("up")) == {"up": 0.0}

        await until(value)
        well = {name: getattr(scripted, name) for name in change}
        for name, setting in change.items():
            setattr(scripted, name, setting)
        await until(down)
        assert await value() == {}
        health, problem = await server.health()
        assert health == "down"
        assert words in problem

        for name, setting in well.items():
            setattr(scripted, name, setting)
        assert await until(value) == {"a": 1.0}


async def test_nobody_there() -> None:
    """A target that cannot be reached is down, not missing."""
    async with running() as server:
        server.engine.aim(frozenset({Target(labels_of({"job": "j"}), "127.0.0.1:1")}))

        async def reported() -> dict[str, float]:
            return await server.query("up")

        assert await until(reported) == {"up": 0.0}


async def test_targets_come_and_go() -> None:
    """The series of a removed target end at once, those of the others go on."""
    async with scripted_target() as one, scripted_target() as two, running() as server:
        first, second = as_target(one, n="1"), as_target(two, n="2")
        server.engine.aim(frozenset({first, second}))

        async def names() -> set[str]:
            return set(await server.query("a"))

        async def both() -> bool:
            return await names() == {"a1", "a2"}

        async def second_only() -> bool:
            return await names() == {"a2"}

        await until(both)
        server.engine.aim(frozenset({second}))
        await until(second_only)
        server.engine.aim(frozenset({first, second}))
        await until(both)


async def test_leaves_nothing_behind() -> None:
    """When the engine is cancelled, no task of it is left."""
    before = asyncio.all_tasks()
    async with scripted_target() as scripted, running() as server:
        server.engine.aim(frozenset({as_target(scripted)}))

        async def scraped() -> bool:
            return scripted.scrapes > 0

        await until(scraped)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        pytest.param(0, 10, 1, id="usual"),
        pytest.param(0, 49, 1, id="nearly due"),
        pytest.param(1, 49, 2, id="woken early"),
        pytest.param(1, 210, 5, id="after a slow scrape"),
        pytest.param(1000, 10, 1, id="clock set back"),
    ],
)
async def test_ticks(last: int, now: int, expected: int) -> None:
    """The next tick is the next multiple of 50 ms after the present one, whatever happened to the last one."""
    clock = 10_000
    async with new_session() as session:
        scraper = Scraper(Target((), "127.0.0.1:1"), SeriesStore(), session, PACE, lambda: clock)
        zero = scraper._next_tick(0)
        clock = zero + now

        assert scraper._next_tick(zero + last * 50) == zero + expected * 50
