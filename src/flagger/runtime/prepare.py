"""Carries out the repairs of a tick: what is missing is made, what has drifted is put right."""

from __future__ import annotations

from flagger.rollout.repair import Repair, repairs
from flagger.rollout.state import HOME
from flagger.runtime.snapshot import View
from flagger.runtime.world import World


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
    match repair:
        case Repair.BACKENDS if sighting is not None:
            await world.services.backends(canary, sighting)
        case Repair.APEX if sighting is not None:
            await world.services.apex(canary, sighting)
        case Repair.PRIMARY:
            initializing = not view.seen.status.last_applied_spec
            await view.workload.ensure_primary(canary, refresh=initializing)
        case Repair.EARLY_ROUTE if router is not None and router.early:
            await world.routes.reconcile(canary, router, view.seen.split or HOME)
        case Repair.ROUTE if router is not None and not router.early:
            await world.routes.reconcile(canary, router, view.seen.split or HOME)
