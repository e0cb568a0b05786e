"""Announcements: log lines, Kubernetes Events and event webhooks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.objects import EVENT
from flagger.notify.events import Announcer, Level
from flagger.notify.webhooks import Webhooks
from flagger.outbound import Outbound
from tests.fakes.scripted import Reply, ScriptedServer
from tests.kube.tiny_api import TinyApi, client_of, fail, refuse, running
from tests.notify.canaries import a_canary

Object = dict[str, Any]
CANARY = a_canary()
START = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass
class Clock:
    """The time of day, moved by the test."""

    time: datetime = field(default=START)

    def __call__(self) -> datetime:
        return self.time


@dataclass
class World:
    """An API server and an announcer that writes to it."""

    api: TinyApi
    announcer: Announcer
    clock: Clock

    @property
    def events(self) -> list[Object]:
        """Stored Events by age."""
        stored = [obj for (plural, _, _), obj in self.api.objects.items() if plural == "events"]
        return sorted(stored, key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))

    @property
    def writes(self) -> list[str]:
        return [request.method for request in self.api.seen]

    async def announce(self, *texts: str, **options: Any) -> None:
        for text in texts:
            self.announcer.announce(CANARY, text, **options)
        await self.announcer.drain()


@asynccontextmanager
async def announcing(announcer: Announcer) -> AsyncIterator[Announcer]:
    task = asyncio.create_task(announcer.run())
    yield announcer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def world_with(**options: Any) -> AsyncIterator[World]:
    clock = Clock()
    async with (
        running(TinyApi()) as api,
        client_of(api) as client,
        Outbound() as outbound,
        announcing(Announcer(client, Webhooks(outbound), now=clock, **options)) as announcer,
    ):
        yield World(api, announcer, clock)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with world_with() as ready:
        yield ready


async def test_event(world: World) -> None:
    """An Event is about the Canary, with upstream's reason and component."""
    await world.announce("Advance checkout.shop canary weight 10")
    (event,) = world.events
    assert event["metadata"]["name"] == f"checkout.{int(START.timestamp() * 1e6) * 1000:x}"
    assert event["metadata"]["namespace"] == "shop"
    del event["metadata"]
    assert event == {
        "involvedObject": {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "name": "checkout",
            "namespace": "shop",
            "uid": "u-checkout",
            "resourceVersion": "7",
        },
        "type": "Normal",
        "reason": "Synced",
        "message": "Advance checkout.shop canary weight 10",
        "source": {"component": "flagger"},
        "reportingComponent": "flagger",
        "reportingInstance": "",
        "firstTimestamp": "2030-01-01T12:00:00Z",
        "lastTimestamp": "2030-01-01T12:00:00Z",
        "count": 1,
        "kind": "Event",
        "apiVersion": "v1",
    }
    assert world.writes == ["POST"]


@pytest.mark.parametrize(
    ("level", "event_type", "log_level"),
    [(Level.INFO, "Normal", "info"), (Level.WARNING, "Warning", "info"), (Level.ERROR, "Warning", "error")],
)
async def test_levels(world: World, level: Level, event_type: str, log_level: str) -> None:
    """Warnings about a release are logged at info, as upstream does; the sentence is the log message."""
    with structlog.testing.capture_logs() as logs:
        await world.announce("Halt checkout.shop advancement", level=level)
    assert logs == [
        {"event": "Halt checkout.shop advancement", "canary": "checkout.shop", "log_level": log_level}
    ]
    assert world.events[0]["type"] == event_type


async def test_events_keep_their_order(world: World) -> None:
    """Events of one Canary are written in the order they were announced."""
    texts = [f"step {number}" for number in range(20)]
    await world.announce(*texts)
    assert [event["message"] for event in world.events] == texts


async def test_long_messages_are_cut(world: World) -> None:
    """An Event's message stays within 1 kB."""
    await world.announce("x" * 3000)
    assert world.events[0]["message"] == "x" * 1023 + "…"


async def test_repeated_messages_are_counted(world: World) -> None:
    """The same message again is one PATCH of count and time; another message or type is another Event."""
    for _ in range(3):
        await world.announce("waiting")
        world.clock.time += timedelta(minutes=1)
    await world.announce("waiting", level=Level.WARNING)
    assert world.writes == ["POST", "PATCH", "PATCH", "POST"]
    first, second = world.events
    assert (first["count"], first["lastTimestamp"]) == (3, "2030-01-01T12:02:00Z")
    assert first["firstTimestamp"] == "2030-01-01T12:00:00Z"
    assert (second["count"], second["type"]) == (1, "Warning")


async def test_counting_starts_anew_after_a_while(world: World) -> None:
    """After half an hour a repeated message is a new Event: servers drop old ones."""
    await world.announce("waiting")
    world.clock.time += timedelta(minutes=31)
    await world.announce("waiting")
    assert [event["count"] for event in world.events] == [1, 1]


async def test_an_event_that_is_gone_is_written_again(world: World) -> None:
    """When the server has dropped the Event, a repeated message makes a new one."""
    await world.announce("waiting")
    world.api.drop(EVENT, world.events[0]["metadata"]["name"], "shop")
    world.clock.time += timedelta(minutes=1)
    await world.announce("waiting")
    assert world.writes == ["POST", "PATCH", "POST"]
    assert [event["count"] for event in world.events] == [1]


@pytest.mark.looptime
async def test_an_answer_that_got_lost() -> None:
    """When the server took an Event but its answer never arrived, trying again makes no second one."""
    async with world_with() as world:
        store = world.api.item

        def forgetful(*request: Any) -> Any:
            world.api.item = store  # type: ignore[method-assign]
            store(*request)
            return refuse(500, "InternalError", "etcdserver: request timed out")

        world.api.item = forgetful  # type: ignore[method-assign]
        await world.announce("once")
        assert len(world.events) == 1
        assert world.writes == ["POST", "POST"]


@pytest.mark.looptime
async def test_waits_for_the_server() -> None:
    """While the server fails, events wait in order; nothing is lost and nobody waits for it."""
    async with world_with() as world:
        world.api.faults.append(fail(5, lambda: refuse(503, "ServiceUnavailable", "starting")))
        started = asyncio.get_running_loop().time()
        for text in ("one", "two", "three"):
            world.announcer.announce(CANARY, text)
        assert asyncio.get_running_loop().time() == started
        await world.announcer.drain()
        assert [event["message"] for event in world.events] == ["one", "two", "three"]


@pytest.mark.looptime
async def test_unreachable_server() -> None:
    """With nobody to write to, the last events and every final one are kept, the others counted as dropped."""
    async with (
        Client(Connection("http://127.0.0.1:1")) as client,
        Outbound() as outbound,
        announcing(Announcer(client, Webhooks(outbound))) as announcer,
    ):
        announcer.announce(CANARY, "Promotion completed!", final=True)
        for number in range(200):
            announcer.announce(CANARY, f"step {number}")
        await asyncio.sleep(300)
        assert announcer.dropped == 101


async def test_refused_events_are_logged(world: World) -> None:
    """An Event that the server refuses for good is logged once, and the next one is written."""
    world.api.faults.append(fail(1, lambda: refuse(403, "Forbidden", "events is forbidden")))
    with structlog.testing.capture_logs() as logs:
        await world.announce("one", "two")
    assert [event["message"] for event in world.events] == ["two"]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "event could not be written"
    ]


def a_hook(url: str, name: str = "feed", **fields: Any) -> Object:
    return {"name": name, "type": "event", "url": url, **fields}


async def test_event_webhook_of_a_canary() -> None:
    """A Canary's own event hooks get every event, with the reserved keys above the user's metadata."""
    async with ScriptedServer() as own, ScriptedServer() as other:
        canary = a_canary(
            a_hook(own.url, metadata={"cluster": "eu-1", "eventType": "mine"}),
            {"name": "load", "url": other.url},
        )
        async with world_with(event_webhook=other.url) as world:
            world.announcer.announce(canary, "Advance checkout.shop canary weight 20", Level.WARNING)
            await world.announcer.drain()
    assert other.received == []
    assert json.loads(own.received[0].body) == {
        "name": "checkout",
        "namespace": "shop",
        "phase": "Progressing",
        "checksum": "7dc89fdd65",
        "metadata": {
            "cluster": "eu-1",
            "eventMessage": "Advance checkout.shop canary weight 20",
            "eventType": "Warning",
            "timestamp": str(int(START.timestamp() * 1000)),
        },
    }


async def test_global_event_webhook() -> None:
    """Without hooks of its own, a Canary's events go to the operator's, with the phase that was given."""
    async with ScriptedServer() as server, world_with(event_webhook=server.url) as world:
        await world.announce("Promotion completed!", phase="Succeeded")
        payload = json.loads(server.received[0].body)
    assert payload["phase"] == "Succeeded"
    assert set(payload["metadata"]) == {"eventMessage", "eventType", "timestamp"}


async def test_all_event_hooks_are_called() -> None:
    """A hook that fails is one error line; the next hook is called, and no event tells of it."""
    async with ScriptedServer([Reply(403, b"who?")]) as first, ScriptedServer() as second:
        canary = a_canary(a_hook(first.url, "first"), a_hook(second.url, "second"))
        async with world_with() as world:
            with structlog.testing.capture_logs() as logs:
                world.announcer.announce(canary, "text")
                await world.announcer.drain()
            assert len(world.events) == 1
    assert len(second.received) == 1
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["hook"], line["problem"]) == (
        "error sending event to webhook",
        "first",
        "who?",
    )


@pytest.mark.looptime
async def test_a_hanging_event_webhook_holds_up_nothing() -> None:
    """Events reach the API server, and other Canaries' hooks are called, while one receiver hangs."""
    hanging = Reply(wait=1000)
    async with ScriptedServer([hanging]) as slow, ScriptedServer() as quick, world_with() as world:
        for number in range(3):
            world.announcer.announce(a_canary(a_hook(slow.url)), f"slow {number}")
        world.announcer.announce(a_canary(a_hook(quick.url), name="cart"), "quick")
        await asyncio.sleep(1.0)
        assert len(world.events) == 4
        assert len(quick.received) == 1
        await world.announcer.drain()
        assert len(slow.received) == 3
