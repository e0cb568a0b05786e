"""What was made for a Canary, and whose it is.

Everything has two owners: the Canary and its target. So when a Canary is deleted just like that, what serves users
stays, with or without an operator, and goes with the target; a Canary that is made again finds it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing, NotFound
from flagger.kube.objects import (
    CONFIG_MAP,
    SECRET,
    SERVICE,
    Kind,
    Object,
    name_of,
    namespace_of,
    resource_version_of,
)
from flagger.routing.base import Place
from flagger.runtime.snapshot import View
from flagger.workloads.scalers import primary_scaler

_CONFIG_KINDS = {kind.kind.lower(): kind for kind in (CONFIG_MAP, SECRET)}


async def keep(cluster: Cluster, view: View) -> None:
    """Make Canary and target the owners of everything that one of them owns already.

    What outlived a former Canary of this target comes to this one.
    """
    async for place, live in _found(cluster, view):
        owners = _owners_of(live)
        others = [owner for owner in owners if not _is_ours(owner, view)]
        controlled = any(owner.get("controller") for owner in others)
        if len(others) == len(owners) or (controlled and not _names_canary(owners, view)):
            continue  # somebody else's, who lets us use it
        canary, *target = view.canary.owner_references
        wanted = [{**canary, "controller": not controlled}, *target, *others]
        if _gist(owners) != _gist(wanted):
            await _write_owners(cluster, place, live, wanted)


async def disown(cluster: Cluster, view: View) -> None:
    """Delete everything that Canary and target own alone; what others own too is theirs from now on."""
    async for place, live in _found(cluster, view):
        owners = _owners_of(live)
        others = [owner for owner in owners if not _is_ours(owner, view)]
        if len(others) == len(owners):
            continue
        if others:
            await _write_owners(cluster, place, live, others)
            continue
        try:
            await cluster.delete(place.kind, place.name, place.namespace or None)
        except NotFound:
            continue  # somebody was faster


async def _write_owners(cluster: Cluster, place: Place, live: Object, owners: list[Object]) -> None:
    body = {"metadata": {"ownerReferences": owners, "resourceVersion": resource_version_of(live)}}
    await cluster.patch(place.kind, place.name, place.namespace or None, body)


def _is_ours(owner: Object, view: View) -> bool:
    """By name: the identity may be that of a namesake before."""
    target = view.canary.spec.target_ref
    as_target = (owner["kind"], owner["name"]) == (target.kind, target.name) and not owner.get("controller")
    return as_target or _names_canary([owner], view)


def _names_canary(owners: Iterable[Object], view: View) -> bool:
    return any((owner["kind"], owner["name"]) == ("Canary", view.canary.name) for owner in owners)


def _owners_of(live: Object) -> list[Object]:
    return live["metadata"].get("ownerReferences") or []


def _gist(owners: Iterable[Object]) -> set[tuple[str, bool]]:
    return {(owner["uid"], bool(owner.get("controller"))) for owner in owners}


async def _found(cluster: Cluster, view: View) -> AsyncIterator[tuple[Place, Object]]:
    """What exists of it; the primary goes when nobody is sent to it any more."""
    scaler = await primary_scaler(cluster, view.canary)
    if scaler is not None:
        kind, live = scaler
        yield Place(kind, namespace_of(live), name_of(live)), live
    for place in dict.fromkeys(_places(view)):
        try:
            found = await cluster.get(place.kind, place.namespace or None, place.name)
        except KindMissing:
            continue
        if found is not None:
            yield place, found


def _places(view: View) -> Iterator[Place]:
    """Where to look; most of it is there."""
    canary, namespace = view.canary, view.canary.namespace
    if view.router is not None:
        yield from view.router.places(canary)
    for name in canary.service_names:
        yield Place(SERVICE, namespace, name)
    if view.workload is not None:
        yield Place(view.workload.kind, namespace, f"{canary.target_name}-canary")
        yield Place(view.workload.kind, namespace, canary.primary_name)
    for kind, name in _configs(view):
        yield Place(kind, namespace, f"{name}-primary")
        yield Place(kind, namespace, f"{name}-primary-previous")


def _configs(view: View) -> Iterator[tuple[Kind, str]]:
    """The ConfigMaps and Secrets that the target refers to, or did when it was last released."""
    if view.sighting is not None:
        yield from sorted(view.sighting.watched, key=str)
    for key in view.seen.status.tracked_configs or ():
        kind, _, name = key.partition("/")
        if kind in _CONFIG_KINDS:
            yield _CONFIG_KINDS[kind], name
