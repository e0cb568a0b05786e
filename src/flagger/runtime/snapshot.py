"""What a tick sees: the Canary, its target and primary, its routes. Caches only, no request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from msgspec.structs import replace as with_fields

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.validate import Severity, validate
from flagger.kube.objects import Object
from flagger.rollout.state import Feature, Snapshot, Split
from flagger.routing.base import RouteError, Router
from flagger.routing.table import router_for
from flagger.runtime.commit import run_of
from flagger.runtime.world import World
from flagger.workloads.base import Sighting, TargetError, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A snapshot and the handles that its repairs and effects need.

    `stored` is the Canary as it is in the cluster. `router` is None while the provider is unknown, `sighting`
    while the target is missing.
    """

    seen: Snapshot
    stored: Object
    workload: Workload
    router: Router | None
    sighting: Sighting | None

    @property
    def canary(self) -> Canary:
        """The typed Canary."""
        return self.seen.canary


async def view(world: World, stored: Object, last_reason: str) -> View:
    """Look at everything that concerns one Canary.

    Raises:
        FieldError: the object can't be read as a Canary at all.
    """
    canary = _with_run(Canary.parse(stored), stored)
    provider = canary.provider(world.settings.mesh_provider)
    problems = _problems(world, canary, provider)
    router, workload = router_for(provider, world.settings), world.workloads.of(canary)
    now = world.clock().replace(microsecond=0)
    sighting, trouble = await _sight(workload, canary, now)
    seen = Snapshot(
        canary=canary,
        status=canary.status,
        now=now,
        provider=provider,
        features=router.features if router else frozenset(),
        target=sighting.target if sighting else None,
        primary=sighting.primary if sighting else None,
        configs=sighting.configs if sighting else None,
        trouble=trouble,
        last_reason=last_reason,
        problems=problems,
    )
    if router is not None and not problems:
        seen = await _with_split(world, seen, router)
    return View(seen=seen, stored=stored, workload=workload, router=router, sighting=sighting)


def _with_run(canary: Canary, stored: Object) -> Canary:
    if canary.status.run is not None:
        return canary
    return with_fields(canary, status=with_fields(canary.status, run=run_of(stored)))


def _problems(world: World, canary: Canary, provider: str) -> tuple[FieldError, ...]:
    settings = world.settings
    findings = validate(canary, provider=provider, cross_namespace=not settings.no_cross_namespace_refs)
    return tuple(finding.error for finding in findings if finding.severity is Severity.ERROR)


async def _sight(workload: Workload, canary: Canary, now: datetime) -> tuple[Sighting | None, str]:
    try:
        return await workload.sight(canary, now), ""
    except TargetError as error:
        return None, str(error)


async def _with_split(world: World, seen: Snapshot, router: Router) -> Snapshot:
    """The snapshot with what the routes say; a router without weights has nothing to read."""
    if Feature.WEIGHTS not in router.features:
        return replace(seen, split=Split(100 if seen.status.iterations > 0 else 0))
    try:
        return replace(seen, split=await world.routes.split(seen.canary, router))
    except RouteError as error:
        return replace(seen, split_trouble=str(error))
