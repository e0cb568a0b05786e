"""What a tick sees: the Canary, its target and primary, its routes. Caches only, no request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from msgspec.structs import replace as with_fields

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.validate import validate
from flagger.kube.objects import Object
from flagger.rollout.state import Feature, Snapshot, Split
from flagger.routing.base import RouteError, Router
from flagger.routing.table import ROUTERS, router_for
from flagger.runtime.commit import run_of
from flagger.runtime.world import World
from flagger.workloads.base import Sighting, TargetError, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A snapshot and the handles that its repairs and effects need.

    `stored` is the Canary as it is in the cluster. `workload` and `router` are None for a kind or provider
    that there is none for, `sighting` while the target is missing.
    """

    seen: Snapshot
    stored: Object
    workload: Workload | None
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
    router, workload = router_for(provider), world.workloads.of(canary)
    problems = (*_problems(world, canary), *_unserved(canary, workload, provider, router))
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


def _problems(world: World, canary: Canary) -> tuple[FieldError, ...]:
    default, everywhere = world.settings.mesh_provider, not world.settings.no_cross_namespace_refs
    findings = validate(canary, provider=default, cross_namespace=everywhere)
    return tuple(finding.error for finding in findings if finding.is_error)


def _unserved(
    canary: Canary, workload: Workload | None, provider: str, router: Router | None
) -> Iterator[FieldError]:
    """What the API knows but this operator has no adapter for."""
    if workload is None:
        kind = canary.spec.target_ref.kind
        yield FieldError("spec.targetRef.kind", f"{kind} is not supported", "release a Deployment")
    if router is None:
        fix = f"use one of {', '.join(ROUTERS)}"
        yield FieldError("spec.provider", f"{provider!r} is not supported", fix)


async def _sight(workload: Workload | None, canary: Canary, now: datetime) -> tuple[Sighting | None, str]:
    if workload is None:
        return None, ""
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
