"""All the I/O of all routers: creates what is missing, corrects what has drifted, keeps what is not ours.

A weight change and a correction are the same operation; a correction is given the live split.
"""

from __future__ import annotations

from flagger.api.canary import Canary
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing
from flagger.kube.objects import Kind, Object, name_of, resource_version_of
from flagger.rollout.state import Split
from flagger.routing.base import RouteError, Router
from flagger.routing.overlay import overlay


class Routes:
    """Reads routing objects from the caches and writes the difference to what a router wants."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def split(self, canary: Canary, router: Router) -> Split:
        """The split that the live objects make.

        Raises:
            RouteError: they are missing, rejected, or don't name both sides.
        """
        live = {}
        for wanted in router.desired(canary, Split(0)):
            kind = _kind_of(router, wanted)
            found = await self._live(kind, canary, name_of(wanted))
            if found is not None:
                live[kind.kind, name_of(wanted)] = found
        return router.split_of(canary, live)

    async def reconcile(self, canary: Canary, router: Router, split: Split) -> None:
        """Make the objects of `router` exist and divide the traffic as `split` says; nothing else changes.

        Raises:
            RouteError: the route can't be made from this Canary, or its kind isn't installed.
            KubeError: the API refused.
        """
        for desired in router.desired(canary, split):
            await self._ensure(_kind_of(router, desired), canary, desired)

    async def _ensure(self, kind: Kind, canary: Canary, desired: Object) -> None:
        async def attempt() -> None:
            live = await self._live(kind, canary, name_of(desired))
            if live is None:
                await self._cluster.create(kind, overlay(None, desired))
                return
            patch = merge_patch(live, overlay(live, _without_owner(desired)))
            if patch is not None:
                patch.setdefault("metadata", {})["resourceVersion"] = resource_version_of(live)
                await self._cluster.patch(kind, name_of(desired), canary.namespace, patch)

        await retry_on_conflict(attempt)

    async def _live(self, kind: Kind, canary: Canary, name: str) -> Object | None:
        try:
            return await self._cluster.get(kind, canary.namespace if kind.namespaced else None, name)
        except KindMissing as error:
            raise RouteError(
                f"{kind.kind} {name}.{canary.namespace} can't be read: the cluster doesn't serve "
                f"{kind.resource} {kind.version}; install its CRD or choose another provider"
            ) from error


def _kind_of(router: Router, obj: Object) -> Kind:
    return next(
        kind for kind in router.kinds if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"])
    )


def _without_owner(desired: Object) -> Object:
    """An object that was there before us is used, not adopted."""
    metadata = {key: value for key, value in desired["metadata"].items() if key != "ownerReferences"}
    return {**desired, "metadata": metadata}
