"""The server from which Envoy takes its resources: xDS over REST, with answers held back until there is news.

Envoy asks for each of its subscriptions (all clusters, all listeners, the rules of one listener) by
`POST /v3/discovery:<type>`, and says in `version_info` what it runs. It asks again as soon as it has dealt with an
answer: with that answer's version if it took it, with an older one if it refused it. Files would be simpler, yet Envoy
uses one inotify instance for each, and a user usually has no more than 128 of them.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

Json = dict[str, Any]
CLUSTERS, LISTENERS, ROUTES = "clusters", "listeners", "routes"
HOLD = 60.0  # seconds without news after which Envoy is told that there are none
PATIENCE = 5.0  # seconds; a change usually takes a few milliseconds


class NotAppliedError(Exception):
    """Envoy has not taken over what was published, and has not refused it either."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What can be subscribed to: all resources of a type, or the one with a name."""

    type: str
    name: str = ""


@dataclass(slots=True)
class Feed:
    """The newest resources of a topic, and how far Envoy is with them."""

    version: int = 0  # of the newest resources; 0 is none yet
    body: bytes = b""
    sent: int = 0
    applied: int = 0
    refused: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_settled(self) -> bool:
        """Has Envoy taken or refused the newest resources?"""
        return self.version in {self.applied, self.refused}


class DiscoveryRequest(msgspec.Struct):
    """What Envoy asks with (envoy.service.discovery.v3.DiscoveryRequest)."""

    node: Json = {}
    version_info: str = ""
    resource_names: list[str] = []


class Discovery:
    """A discovery server for one Envoy at a time; `port` is known while the `async with` block lasts.

    Resources hold private keys, so an Envoy must name the `session` it was started with.
    """

    def __init__(self) -> None:
        self.port = 0
        self.session = ""
        self._feeds: dict[Topic, Feed] = {}
        self._version = 0
        self._progress = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Discovery":
        application = web.Application()
        application.router.add_post("/v3/discovery:{type}", self._answer)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.begin_session()
        if self._runner is not None:
            await self._runner.cleanup()

    def begin_session(self) -> str:
        """Forget the Envoy that was; returns what the next one has to call itself."""
        self.session = secrets.token_hex(16)
        for feed in self._feeds.values():
            feed.sent = feed.applied = feed.refused = 0
            feed.news.set()
        return self.session

    def publish(self, topic: Topic, resources: Iterable[Json]) -> None:
        """Have Envoy use these resources; nothing happens if they are the ones it was last told."""
        feed = self._feeds.setdefault(topic, Feed())
        body = msgspec.json.encode(list(resources))
        if feed.version and feed.body == body:
            return
        self._version += 1
        feed.version, feed.body = self._version, body
        feed.news.set()

    def publish_again(self, topic: Topic) -> None:
        """Offer the same resources once more."""
        feed = self._feeds[topic]
        self._version += 1
        feed.version = self._version
        feed.news.set()

    def forget(self, keep: Callable[[Topic], bool]) -> None:
        """Drop the topics that nobody will ask for any more."""
        self._feeds = {topic: feed for topic, feed in self._feeds.items() if keep(topic)}

    def is_refused(self, topic: Topic) -> bool:
        """Did Envoy refuse the newest resources?"""
        feed = self._feeds[topic]
        return feed.refused == feed.version

    async def settle(self, topics: Iterable[Topic]) -> None:
        """Wait until Envoy has taken or refused what was last published.

        Raises:
            NotAppliedError: it has not done so in time; there may be no Envoy.
        """
        waiting = list(topics)
        try:
            async with asyncio.timeout(PATIENCE):
                while waiting := [topic for topic in waiting if not self._feeds[topic].is_settled]:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError as error:
            names = ", ".join(f"{topic.type} {topic.name}".rstrip() for topic in waiting)
            raise NotAppliedError(f"Envoy has not taken over: {names}") from error

    async def _answer(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=DiscoveryRequest)
        session = self.session
        if not secrets.compare_digest(str(asked.node.get("id", "")), session):
            return web.Response(status=403)
        topic = Topic(request.match_info["type"], next(iter(asked.resource_names), ""))
        feed = self._feeds.setdefault(topic, Feed())
        self._note(feed, asked.version_info)
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD):
                while feed.sent == feed.version:
                    feed.news.clear()
                    await feed.news.wait()
        if session != self.session or feed.sent == feed.version:
            return web.Response(status=304)
        feed.sent = feed.version
        answer = {"version_info": str(feed.version), "resources": msgspec.Raw(feed.body)}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _note(self, feed: Feed, version: str) -> None:
        """What Envoy says it runs: the version of the last answer, or an older one if it refused that."""
        if not version and feed.applied:  # another subscription, of a listener that took the place of one
            feed.sent = feed.applied = feed.refused = 0
        elif feed.sent and version == str(feed.sent):
            feed.applied = feed.sent
        elif feed.sent:
            feed.refused = feed.sent
        self._progress.set()
