"""All controllers together: which there are, and running those that are wanted."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from flagger.kube.cache import Slim, drop_managed_fields
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.objects import (
    CRD,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    JOB,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    SERVICE,
    Kind,
)
from flagger.sandbox.controllers import loop
from flagger.sandbox.controllers.daemonset import DaemonSets
from flagger.sandbox.controllers.deployment import Deployments
from flagger.sandbox.controllers.discovery import served
from flagger.sandbox.controllers.endpoints import ServiceEndpoints
from flagger.sandbox.controllers.garbage import GarbageCollector
from flagger.sandbox.controllers.job import Jobs
from flagger.sandbox.controllers.loop import Context, Controller
from flagger.sandbox.controllers.namespace import Namespaces
from flagger.sandbox.controllers.namespace_defaults import NamespaceDefaults
from flagger.sandbox.controllers.ownership import metadata_only
from flagger.sandbox.controllers.replicaset import ReplicaSets
from flagger.sandbox.controllers.scheduler import Scheduler
from flagger.sandbox.events import EventRecorder, utc_now

BETA_SLICE = Kind("discovery.k8s.io", "v1beta1", "EndpointSlice", "endpointslices")
GARBAGE_COLLECTOR = "garbage-collector"
ENDPOINT = "endpoint"

# Name → controller. The names are those of kube-controller-manager's --controllers, as far as it has them.
TABLE: Mapping[str, Callable[[Context], Controller]] = {
    "daemonset": DaemonSets,
    "deployment": Deployments,
    "job": Jobs,
    "namespace": Namespaces,
    "namespace-defaults": NamespaceDefaults,
    "replicaset": ReplicaSets,
    "scheduler": Scheduler,
}
NAMES: Collection[str] = (*TABLE, ENDPOINT, GARBAGE_COLLECTOR)

# Kinds that are read in full; of all others the garbage collector keeps the metadata.
READ_IN_FULL = frozenset(
    {
        CRD,
        DAEMON_SET,
        DEPLOYMENT,
        ENDPOINTS,
        ENDPOINT_SLICE,
        BETA_SLICE,
        JOB,
        NAMESPACE,
        NODE,
        POD,
        REPLICA_SET,
        SERVICE,
    }
)


class SlimOthers(Mapping[Kind, Slim]):
    """What to keep of a kind: its metadata, unless it is read in full."""

    def __getitem__(self, kind: Kind) -> Slim:
        return drop_managed_fields if kind in READ_IN_FULL else metadata_only

    def __iter__(self) -> Iterator[Kind]:
        return iter(READ_IN_FULL)

    def __len__(self) -> int:
        return len(READ_IN_FULL)


class Controllers:
    """The controllers of a cluster; `run` until cancelled.

    Each can be left out, so that a real one does its work.
    """

    def __init__(
        self,
        client: Client,
        only: Collection[str] | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`only` chooses from `NAMES`.

        Raises:
            ValueError: there is no controller of that name.
        """
        chosen = NAMES if only is None else only
        if unknown := set(chosen) - set(NAMES):
            raise ValueError(
                f"no such controller: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
            )
        self._client = client
        self._chosen = chosen
        self._now = now

    async def run(self) -> None:
        """Reconcile until cancelled."""
        slice_kind = await served(self._client, ENDPOINT_SLICE, BETA_SLICE)
        async with Cluster(self._client, slim=SlimOthers()) as cluster, asyncio.TaskGroup() as group:
            for name in self._chosen:
                component = "default-scheduler" if name == "scheduler" else f"{name}-controller"
                recorder = EventRecorder(self._client, component, now=self._now)
                context = Context(cluster, recorder, self._now)
                group.create_task(recorder.run())
                if name == GARBAGE_COLLECTOR:
                    group.create_task(GarbageCollector(context).run())
                else:
                    chosen = (
                        ServiceEndpoints(context, slice_kind) if name == ENDPOINT else TABLE[name](context)
                    )
                    group.create_task(loop.run(chosen, cluster, name))
