"""What happens to a Canary, told to the log, to Kubernetes Events and to event webhooks.

Nothing here is waited for by a tick: the log line is written at once, the rest is delivered behind its back,
in order per Canary. Reason, component and types of Events are upstream's.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

import stamina
import structlog

from flagger.api.analysis import HookType, Webhook
from flagger.api.canary import Canary
from flagger.api.names import API_VERSION
from flagger.api.quantities import format_time
from flagger.kube.client import Client
from flagger.kube.errors import (
    AlreadyExists,
    KubeError,
    NotFound,
    ServerTimeout,
    TooManyRequests,
    Unreachable,
)
from flagger.kube.objects import EVENT, Object
from flagger.notify.courier import Courier
from flagger.notify.webhooks import Webhooks, payload_for

log = structlog.get_logger("flagger.events")

REASON = "Synced"
COMPONENT = "flagger"
LONGEST = 1024  # characters of an Event's message
REPEATS = timedelta(minutes=30)
"""How long a repeated message is counted on one Event; servers drop Events after an hour by default."""
REMEMBERED = 4096  # messages whose Events are known, as in client-go
WEBHOOK_LANES = 64  # Canaries whose event webhooks are called at the same time


class Level(Enum):
    """How serious an announcement is; decides the Event's type and the log level."""

    INFO = ("Normal", "info")
    WARNING = ("Warning", "info")
    """Logged at info, as upstream does: it is about the release, not about the operator."""
    ERROR = ("Warning", "error")

    def __init__(self, event_type: str, log_level: str) -> None:
        self.event_type = event_type
        self.log_level = log_level


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing that happened to a Canary."""

    canary: Canary
    text: str
    level: Level
    phase: str
    """The phase that event webhooks are told."""
    at: datetime
    final: bool = False
    """Ends a run; never dropped."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Announcer:
    """Tells the log at once, and the API server and event webhooks soon."""

    def __init__(
        self,
        client: Client,
        webhooks: Webhooks,
        *,
        event_webhook: str = "",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`event_webhook` is the URL that is told about Canaries without an event hook of their own."""
        self._now = now
        self._global = _global_hook(event_webhook)
        self._webhooks = webhooks
        self._events = Courier("event", EventWriter(client).write)
        self._calls = Courier("event webhook", self._forward, lanes=WEBHOOK_LANES)

    @property
    def dropped(self) -> int:
        """Announcements that were given up because too many were waiting."""
        return self._events.dropped + self._calls.dropped

    def announce(
        self,
        canary: Canary,
        text: str,
        level: Level = Level.INFO,
        *,
        phase: str | None = None,
        final: bool = False,
    ) -> None:
        """Log `text` and queue it for delivery; event webhooks see `phase`, by default the status's."""
        write = log.error if level.log_level == "error" else log.info
        write(text, canary=f"{canary.name}.{canary.namespace}")
        shown = canary.status.phase if phase is None else phase
        announcement = Announcement(canary, text, level, str(shown), self._now(), final)
        self._events.send(canary.key, announcement, keep=final)
        if self._hooks(canary):
            self._calls.send(canary.key, announcement, keep=final)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="events")
            group.create_task(self._calls.run(), name="event webhooks")

    async def drain(self) -> None:
        """Wait until everything is delivered."""
        await self._events.drain()
        await self._calls.drain()

    def _hooks(self, canary: Canary) -> tuple[Webhook, ...]:
        own = tuple(hook for hook in canary.spec.analysis.webhooks if hook.kind is HookType.EVENT)
        return own or self._global

    async def _forward(self, announcement: Announcement) -> None:
        """Call the event webhooks of a Canary, one after the other; what fails is logged."""
        canary = announcement.canary
        for hook in self._hooks(canary):
            metadata = {
                **hook.metadata,
                "eventMessage": announcement.text,
                "eventType": announcement.level.event_type,
                "timestamp": str(int(announcement.at.timestamp() * 1000)),
            }
            answer = await self._webhooks.call(hook, payload_for(canary, announcement.phase, metadata))
            if not answer.ok:
                where = f"{canary.name}.{canary.namespace}"
                log.error(
                    "error sending event to webhook", canary=where, hook=hook.name, problem=answer.detail
                )


def _global_hook(url: str) -> tuple[Webhook, ...]:
    return (Webhook(name="event-webhook", type=HookType.EVENT, url=url),) if url else ()


@dataclass(frozen=True, slots=True)
class _Told:
    """The Event on which a message is counted."""

    name: str
    count: int
    first: datetime


class EventWriter:
    """Writes Kubernetes Events, one request each; a repeated message is counted on the Event it has."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()
        self._numbers: Iterator[int] = itertools.count()

    async def write(self, announcement: Announcement) -> None:
        """Store an announcement; waits as long as the server cannot be reached, and logs a refusal."""
        name = self._name(announcement)  # one for all attempts: an answer may get lost
        try:
            async for attempt in stamina.retry_context(
                on=_is_passing, attempts=None, timeout=None, wait_initial=1.0, wait_max=30.0
            ):
                with attempt:
                    await self._write(announcement, name)
        except KubeError as error:
            where = f"{announcement.canary.name}.{announcement.canary.namespace}"
            log.warning("event could not be written", canary=where, problem=str(error))

    async def _write(self, announcement: Announcement, name: str) -> None:
        canary = announcement.canary
        key = (canary.metadata.uid or canary.key, announcement.level.event_type, announcement.text)
        told = self._told.get(key)
        if (
            told is None
            or announcement.at - told.first > REPEATS
            or not await self._count(announcement, told)
        ):
            told = _Told(name, 0, announcement.at)
            await self._create(announcement, name)
        self._told[key] = _Told(told.name, told.count + 1, told.first)
        self._told.move_to_end(key)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def _count(self, announcement: Announcement, told: _Told) -> bool:
        """Count a repeated message; False when its Event is gone."""
        change = {"count": told.count + 1, "lastTimestamp": format_time(announcement.at)}
        try:
            await self._client.patch(EVENT, told.name, announcement.canary.namespace, change)
        except NotFound:
            return False
        return True

    async def _create(self, announcement: Announcement, name: str) -> None:
        try:
            await self._client.create(EVENT, event_object(announcement, name))
        except AlreadyExists:
            # An earlier attempt arrived: no other announcement has this name.
            log.debug("event was already there", event=name)

    def _name(self, announcement: Announcement) -> str:
        """Return a name like client-go's: the object's, and the time in hexadecimal nanoseconds."""
        nanoseconds = int(announcement.at.timestamp() * 1e6) * 1000 + next(self._numbers) % 1000
        return f"{announcement.canary.name[:200]}.{nanoseconds:x}"


def _is_passing(error: Exception) -> bool:
    """Tell whether a failure of the API server may go away by itself."""
    if isinstance(error, Unreachable | ServerTimeout | TooManyRequests):
        return True
    return isinstance(error, KubeError) and error.status >= 500


def event_object(announcement: Announcement, name: str) -> Object:
    """Return the Event of an announcement (core/v1)."""
    canary = announcement.canary
    about = {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "name": canary.name,
        "namespace": canary.namespace,
        "uid": canary.metadata.uid,
        "resourceVersion": canary.metadata.resource_version,
    }
    text = announcement.text
    return {
        "metadata": {"name": name, "namespace": canary.namespace},
        "involvedObject": {key: value for key, value in about.items() if value},
        "type": announcement.level.event_type,
        "reason": REASON,
        "message": text if len(text) <= LONGEST else text[: LONGEST - 1] + "…",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": format_time(announcement.at),
        "lastTimestamp": format_time(announcement.at),
        "count": 1,
    }
