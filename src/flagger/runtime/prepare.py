"""Carries out the repairs of a tick: what is missing is made, what has drifted is put right."""

from __future__ import annotations

from msgspec.structs import replace

from flagger.api.phases import INITIAL
from flagger.rollout.affinity import pinned
from flagger.rollout.repair import Repair, repairs, rightful_split
from flagger.routing.base import Router
from flagger.runtime.snapshot import View
from flagger.runtime.world import World
from flagger.workloads.scalers import ensure_primary_scaler


async def prepare(world: World, view: View) -> bool:
    """Do every repair that applies now; says whether anything was written.

    Raises:
        KubeError: the API refused a write.
        RouteError: a route can't be made from this Canary.
        TargetError: the primary can't be made from this target.
    """
    before = world.cluster.writes
    for repair in repairs(view.seen):
        await _mend(world, view, repair)
    return world.cluster.writes != before


async def _mend(world: World, view: View, repair: Repair) -> None:
    canary, sighting, router = view.canary, view.sighting, view.router
    if sighting is None or view.workload is None:
        return
    match repair:
        case Repair.BACKENDS if sighting.selector is not None:
            await world.services.backends(canary, sighting.selector, sighting.ports)
        case Repair.APEX if sighting.selector is not None:
            await world.services.apex(canary, sighting.selector, sighting.ports)
        case Repair.PRIMARY:
            await view.workload.ensure_primary(canary, refresh=view.seen.phase in INITIAL)
        case Repair.SCALER:
            await ensure_primary_scaler(world.cluster, canary, update=False)
        case Repair.EARLY_ROUTE if router is not None and router.early:
            await _reroute(world, view, router)
        case Repair.ROUTE if router is not None and not router.early:
            await _reroute(world, view, router)


async def _reroute(world: World, view: View, router: Router) -> None:
    seen, split = view.seen, rightful_split(view.seen)
    canary = replace(view.canary, status=pinned(seen, seen.status, split))
    await world.routes.reconcile(canary, router, split)
