"""The loop that all controllers share: changes → keys → `reconcile(key)`, from caches, again until it works."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from flagger.kube.cluster import Cluster
from flagger.kube.errors import Conflict, Forbidden, KubeError, NotFound
from flagger.kube.objects import Kind, Object
from flagger.sandbox.controllers.queue import Queue
from flagger.sandbox.events import EventRecorder

WORKERS = 4

Reconcile = Callable[[str], Awaitable[float | None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """What a controller works with."""

    cluster: Cluster
    recorder: EventRecorder
    """Writes Events in the controller's name."""
    now: Callable[[], datetime]


class Controller(Protocol):
    """Makes the cluster what one kind of object asks for."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """The kinds whose changes matter to it."""

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """Which keys a change concerns; None is "absent"."""

    async def reconcile(self, key: str) -> float | None:
        """Bring about what the object `key` asks for; seconds after which to look again without a change.

        Raises:
            KubeError: it did not work this time; it is tried again.
        """


async def run(controller: Controller, cluster: Cluster, name: str) -> None:
    """Run a controller until cancelled."""
    queue = Queue()

    def on_change(kind: Kind, old: Object | None, new: Object | None) -> None:
        for key in controller.keys(kind, old, new):
            queue.add(key)

    for kind in controller.kinds:
        cluster.subscribe(kind, partial(on_change, kind))
    for kind in controller.kinds:
        await cluster.list(kind, "default")  # what it decides from has to be there in full
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work(controller.reconcile, queue, name))
    finally:
        queue.close()


async def work(reconcile: Reconcile, queue: Queue, name: str) -> None:
    """Take keys and reconcile them, for ever."""
    while True:
        key = await queue.take()
        again_after: float | None = None
        failed = True
        try:
            again_after = await reconcile(key)
            failed = False
        except (Conflict, NotFound, Forbidden) as error:
            # Somebody else was faster, or its namespace is going: the cache will tell.
            log.debug("reconciling again", controller=name, key=key, problem=str(error))
        except KubeError as error:
            log.warning("reconciling failed; trying again", controller=name, key=key, problem=str(error))
        finally:
            queue.done(key, again_after=again_after, failed=failed)
