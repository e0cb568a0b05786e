"""Writes statuses: only what changed, and with the times at which conditions did."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError, NotFound
from flagger.kube.objects import Kind, Object, annotations_of, key_of, name_of, namespace_of
from flagger.sandbox.dataplane.translators.base import Report

log = structlog.get_logger(__name__)


class StatusWriter:
    """Tells objects what became of them. `learn` takes over the server's answers."""

    def __init__(
        self, client: Client, learn: Callable[[Kind, Object], None], now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._learn = learn
        self._now = now

    async def write(self, reports: Iterable[Report]) -> bool:
        """Write what differs from what the objects say; False if something has to be tried again."""
        done = True
        for report in reports:
            try:
                await self._write(report)
            except NotFound:
                log.debug("object is gone", kind=report.kind.kind, key=key_of(report.obj))
            except KubeError as error:
                log.warning(
                    "status not written", kind=report.kind.kind, key=key_of(report.obj), error=str(error)
                )
                done = False
        return done

    async def _write(self, report: Report) -> None:
        obj = report.obj
        if any(annotations_of(obj).get(key) != value for key, value in report.annotations.items()):
            await self._patch(report, {"metadata": {"annotations": dict(report.annotations)}}, None)
        old = obj.get("status") or {}
        new = timed(report.status, old, self._now())
        if any(old.get(key) != value for key, value in new.items()):
            await self._patch(report, {"status": new}, "status")

    async def _patch(self, report: Report, body: Object, subresource: str | None) -> None:
        obj = report.obj
        namespace = namespace_of(obj) or None
        answer = await self._client.patch(report.kind, name_of(obj), namespace, body, subresource=subresource)
        self._learn(report.kind, answer)


def timed(status: Object, old: Object, now: datetime) -> Object:
    """A status whose conditions have times: the old one where a condition says the same, else `now`."""
    return {key: _timed(value, old.get(key), now) for key, value in status.items()}


def _timed(new: object, old: object, now: datetime) -> object:
    match new:
        case {"type": str(), "status": str()}:
            return new | {"lastTransitionTime": _transition(new, old, now)}  # type: ignore[operator]
        case dict():
            before = old if isinstance(old, dict) else {}
            return {key: _timed(value, before.get(key), now) for key, value in new.items()}
        case list():
            earlier = old if isinstance(old, list) else []
            return [_timed(item, _counterpart(item, earlier), now) for item in new]
        case _:
            return new


def _transition(new: object, old: object, now: datetime) -> str:
    match new, old:
        case {"status": status}, {"status": before, "lastTransitionTime": str(time)} if status == before:
            return time
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counterpart(item: object, others: list[object]) -> object:
    """The entry of the old list that is about the same thing: condition, listener or parent."""
    identity = _identity(item)
    return next((other for other in others if _identity(other) == identity), None)


def _identity(item: object) -> object:
    if not isinstance(item, dict):
        return item
    return (item.get("type"), item.get("name"), item.get("parentRef"), item.get("controllerName"))
