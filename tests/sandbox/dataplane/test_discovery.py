"""The discovery server, asked as Envoy asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from flagger.sandbox.dataplane.discovery import CLUSTERS, ROUTES, Discovery, NotAppliedError, Topic

EDGE = Topic(ROUTES, "edge")
Answer = tuple[int, str]  # status, version


class Asker:
    """A subscription."""

    def __init__(self, discovery: Discovery, session: aiohttp.ClientSession) -> None:
        self.session = discovery.begin_session()
        self._url = f"http://127.0.0.1:{discovery.port}/v3/discovery:"
        self._http = session

    async def ask(self, version: str = "", topic: Topic = EDGE) -> Answer:
        names = [topic.name] if topic.name else []
        body = {"node": {"id": self.session}, "version_info": version, "resource_names": names}
        async with self._http.post(self._url + topic.type, json=body) as answer:
            found: dict[str, Any] = await answer.json() if answer.status == 200 else {}
            return answer.status, found.get("version_info", "")

    def asking(self, version: str = "") -> asyncio.Task[Answer]:
        """A question that waits for news."""
        return asyncio.create_task(self.ask(version))


@pytest.fixture
async def discovery() -> AsyncIterator[Discovery]:
    async with Discovery() as discovery:
        yield discovery


@pytest.fixture
async def envoy(discovery: Discovery) -> AsyncIterator[Asker]:
    async with aiohttp.ClientSession() as session:
        yield Asker(discovery, session)


async def is_held(task: asyncio.Task[Answer]) -> bool:
    done, _ = await asyncio.wait([task], timeout=0.05)
    return not done


async def test_answers_at_once_and_then_with_news_only(discovery: Discovery, envoy: Asker) -> None:
    """What is published again unchanged is no news."""
    discovery.publish(EDGE, [{"a": 1}])
    assert await envoy.ask() == (200, "1")

    waiting = envoy.asking("1")
    discovery.publish(EDGE, [{"a": 1}])
    assert await is_held(waiting)

    discovery.publish(EDGE, [{"a": 2}])
    assert await waiting == (200, "2")


async def test_knows_what_was_taken_and_what_was_refused(discovery: Discovery, envoy: Asker) -> None:
    """The version that the next question names tells; what was refused is not offered again."""
    discovery.publish(EDGE, [{"a": 1}])
    await envoy.ask()
    waiting = envoy.asking("1")
    await discovery.settle([EDGE])
    assert not discovery.is_refused(EDGE)

    discovery.publish(EDGE, [{"a": 2}])
    assert await waiting == (200, "2")
    waiting = envoy.asking("1")
    await discovery.settle([EDGE])
    assert discovery.is_refused(EDGE)
    assert await is_held(waiting)

    discovery.publish_again(EDGE)
    assert await waiting == (200, "3")


async def test_a_new_subscription_gets_everything(discovery: Discovery, envoy: Asker) -> None:
    """A listener that takes another's place asks anew for the same rules, without naming a version."""
    discovery.publish(EDGE, [{"a": 1}])
    await envoy.ask()
    first = envoy.asking("1")
    await discovery.settle([EDGE])

    assert await envoy.ask() == (200, "1")
    first.cancel()


async def test_what_a_first_answer_refused_stays_refused(discovery: Discovery, envoy: Asker) -> None:
    """Envoy names no version then either; it is not given the same again and again."""
    discovery.publish(EDGE, [{"a": 1}])
    await envoy.ask()

    assert await is_held(envoy.asking())
    assert discovery.is_refused(EDGE)


async def test_only_the_envoy_of_the_session_is_answered(discovery: Discovery, envoy: Asker) -> None:
    """Neither a stranger nor an Envoy that was replaced learns anything."""
    discovery.publish(EDGE, [{"a": 1}])
    await envoy.ask()
    waiting = envoy.asking("1")
    assert await is_held(waiting)

    discovery.begin_session()

    assert await waiting == (304, "")
    assert await envoy.ask() == (403, "")


@pytest.mark.looptime
async def test_says_what_does_not_settle(discovery: Discovery, envoy: Asker) -> None:
    """A new session has taken nothing yet."""
    discovery.publish(Topic(CLUSTERS), [{"a": 1}])
    await envoy.ask(topic=Topic(CLUSTERS))
    discovery.publish(EDGE, [{"a": 1}])

    with pytest.raises(NotAppliedError, match="clusters, routes edge"):
        await discovery.settle([Topic(CLUSTERS), EDGE])
