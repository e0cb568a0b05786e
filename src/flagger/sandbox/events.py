"""Events as parts of a cluster write them: in the background, repeated ones counted up (core/v1 Event)."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError, NotFound
from flagger.kube.objects import EVENT, Kind, Object, name_of, namespace_of, resource_version_of, uid_of

WAITING = 1000  # events that may wait to be written; more are dropped
REMEMBERED = 4096  # events that can be counted up

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to which object."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class EventRecorder:
    """Writes the Events of one component; `record` never waits and never fails."""

    def __init__(
        self, client: Client, component: str, *, host: str = "", now: Callable[[], datetime] = utc_now
    ) -> None:
        """`component` and `host` become the Event's source."""
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._now = now
        self._waiting: asyncio.Queue[tuple[Happening, str, datetime]] = asyncio.Queue(WAITING)
        self._known: OrderedDict[Happening, tuple[str, int]] = OrderedDict()  # → name of the Event, count

    def record(self, kind: Kind, obj: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Note that something happened to an object."""
        happening = Happening(kind, namespace_of(obj), name_of(obj), uid_of(obj), reason, message, warning)
        if not self._waiting.full():
            self._waiting.put_nowait((happening, resource_version_of(obj), self._now()))

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            happening, version, moment = await self._waiting.get()
            try:
                await self._write(happening, version, moment)
            except KubeError as error:  # its namespace may be going; nobody depends on an Event
                log.debug("event not written", reason=happening.reason, problem=str(error))

    async def _write(self, happening: Happening, version: str, moment: datetime) -> None:
        stamp = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        name, count = self._known.pop(happening, ("", 0))
        namespace = happening.namespace or "default"
        if name:
            try:
                await self._client.patch(EVENT, name, namespace, {"count": count + 1, "lastTimestamp": stamp})
            except NotFound:
                count = 0
        if not count:
            name = f"{happening.name}.{int(moment.timestamp() * 1e9):x}"
            await self._client.create(EVENT, self._event(happening, name, version, stamp))
        self._known[happening] = name, count + 1
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _event(self, happening: Happening, name: str, version: str, stamp: str) -> Object:
        involved: dict[str, Any] = {
            "kind": happening.kind.kind,
            "apiVersion": happening.kind.api_version,
            "name": happening.name,
            "uid": happening.uid,
            "resourceVersion": version,
        }
        if happening.namespace:
            involved["namespace"] = happening.namespace
        return {
            "metadata": {"name": name, "namespace": happening.namespace or "default"},
            "involvedObject": involved,
            "reason": happening.reason,
            "message": happening.message[:1024],
            "type": "Warning" if happening.warning else "Normal",
            "source": self._source,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
