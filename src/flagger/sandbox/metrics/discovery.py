"""Targets as the API server knows them now, told again whenever they change."""

import asyncio
from collections.abc import Callable

from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.objects import NODE, POD, SERVICE, Kind, Object
from flagger.sandbox.metrics.targets import Target, targets_of

_GATHER = 0.05
"""Seconds in which changes are gathered, because they come in swarms."""


class Discovery:
    """Follows Pods, Services and Nodes and tells the set of targets."""

    def __init__(self, client: Client, on_targets: Callable[[frozenset[Target]], None]) -> None:
        """`on_targets` gets the whole set each time that it differs from the last."""
        self._on_targets = on_targets
        self._changed = asyncio.Event()
        self._pods, self._services, self._nodes = (
            self._informer(client, kind) for kind in (POD, SERVICE, NODE)
        )

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in (self._pods, self._services, self._nodes):
                tasks.create_task(informer.run())
            await self._tell()

    async def _tell(self) -> None:
        told: frozenset[Target] = frozenset()
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHER)
            self._changed.clear()
            targets = targets_of(self._pods.items(), self._services.items(), self._nodes.items())
            if targets != told:
                told = targets
                self._on_targets(targets)

    def _informer(self, client: Client, kind: Kind) -> Informer:
        return Informer(client, kind, on_change=self._note, slim=_slim)

    def _note(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()


def _slim(obj: Object) -> Object:
    """What targets are made from; a tenth of a Pod."""
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations")
    containers = [{"ports": container.get("ports")} for container in spec.get("containers") or []]
    return {
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"selector": spec.get("selector"), "containers": containers},
        "status": {"phase": status.get("phase"), "podIP": status.get("podIP")},
    }
