"""Tells the API server what became of a pod: its status when it changes, and its end."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from flagger.kube.client import Client, PatchType
from flagger.kube.errors import Conflict, KubeError, NotFound
from flagger.kube.objects import POD, Object, name_of, namespace_of, uid_of

RETRY = 0.2  # seconds after which a failed write is tried again, doubled for each later one
LONGEST_RETRY = 10.0

log = structlog.get_logger(__name__)


class Publisher:
    """Writes one pod's status: always the newest, never twice the same, one write at a time."""

    def __init__(self, client: Client, pod: Object, compute: Callable[[Object], Object]) -> None:
        """`compute(old)` gives the status as it is now, `old` being the one last written."""
        self._client = client
        self._pod = pod
        self._compute = compute
        self._written: Object = pod.get("status") or {}
        self._dirty = asyncio.Event()
        self._clean = asyncio.Event()
        self._clean.set()

    def changed(self) -> None:
        """There may be something new to tell."""
        self._dirty.set()
        self._clean.clear()

    async def flushed(self) -> None:
        """Wait until everything has been told."""
        await self._clean.wait()

    async def run(self) -> None:
        """Write whenever something has changed, until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await insist(self._write)
            if not self._dirty.is_set():
                self._clean.set()

    async def _write(self) -> None:
        status = self._compute(self._written)
        if all(self._written.get(key) == value for key, value in status.items()):
            return
        changes = status | {"podIPs": replaced(self._written.get("podIPs") or [], status.get("podIPs") or [])}
        # The uid makes sure that a namesake that has taken the pod's place is not meant.
        body = {"metadata": {"uid": uid_of(self._pod)}, "status": changes}
        name, namespace = name_of(self._pod), namespace_of(self._pod)
        await self._client.patch(
            POD, name, namespace, body, subresource="status", content=PatchType.STRATEGIC
        )
        self._written = status

    async def remove(self) -> None:
        """The pod was deleted and its processes have ended: have the API server forget it."""
        path = POD.path(namespace_of(self._pod), name_of(self._pod))
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid_of(self._pod)}}
        headers = {"Content-Type": "application/json"}
        body = msgspec.json.encode(options)
        await insist(lambda: self._client.raw("DELETE", path, body=body, headers=headers))


def replaced(old: list[Object], new: list[Object]) -> list[Object]:
    """A strategic patch of addresses, which are merged otherwise: an earlier life of the pod had others."""
    return [*new, *({**entry, "$patch": "delete"} for entry in old if entry not in new)]


async def insist(act: Callable[[], Awaitable[object]]) -> None:
    """Try until it works, or until there is no such pod any more."""
    pause = RETRY
    while True:
        try:
            await act()
            return
        except (NotFound, Conflict):
            return
        except KubeError as error:
            log.warning("pod not updated; trying again", problem=str(error))
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)
