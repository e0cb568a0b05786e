"""All the I/O of all routers: creates what is missing, corrects what has drifted, keeps what is not ours.

A weight change and a correction are the same operation; a correction is given the live split.
"""

from __future__ import annotations

from flagger.api.canary import Canary
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing
from flagger.kube.objects import Object, name_of, namespace_of, resource_version_of
from flagger.rollout.state import Split
from flagger.routing.base import Live, Place, RouteError, Router
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
        return router.split_of(canary, await self._look(canary, router))

    async def reconcile(self, canary: Canary, router: Router, split: Split) -> None:
        """Make the objects of `router` exist and divide the traffic as `split` says; nothing else changes.

        Raises:
            RouteError: the route can't be made from this Canary, or its kind isn't installed.
            KubeError: the API refused.
        """

        async def attempt() -> None:
            live = await self._look(canary, router)
            for desired in router.desired(canary, split, live):
                place = _place_of(router, desired)
                await self._lay(place, live.get(place), desired)

        await retry_on_conflict(attempt)

    async def _lay(self, place: Place, live: Object | None, desired: Object) -> None:
        """Create an object, or change in it what is owned."""
        if live is None:
            await self._cluster.create(place.kind, overlay(None, desired))
            return
        patch = merge_patch(live, overlay(live, _without_owner(desired)))
        if patch is not None:
            patch.setdefault("metadata", {})["resourceVersion"] = resource_version_of(live)
            await self._cluster.patch(place.kind, place.name, place.namespace or None, patch)

    async def _look(self, canary: Canary, router: Router) -> Live:
        """What there is of the objects that the router reads or writes."""
        found = {place: await self._get(place) for place in router.places(canary)}
        return {place: obj for place, obj in found.items() if obj is not None}

    async def _get(self, place: Place) -> Object | None:
        kind = place.kind
        try:
            return await self._cluster.get(kind, place.namespace or None, place.name)
        except KindMissing as error:
            raise RouteError(
                f"{place} can't be read: the cluster doesn't serve {kind.resource} {kind.version}; "
                "install its CRD or choose another provider"
            ) from error


def _place_of(router: Router, obj: Object) -> Place:
    kind = next(
        kind for kind in router.kinds if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"])
    )
    return Place(kind, namespace_of(obj) if kind.namespaced else "", name_of(obj))


def _without_owner(desired: Object) -> Object:
    """An object that was there before us is used, not adopted."""
    metadata = {key: value for key, value in desired["metadata"].items() if key != "ownerReferences"}
    return {**desired, "metadata": metadata}
