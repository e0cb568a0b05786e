"""What a tick sees: the Canary, its target and primary, its routes. Caches only, no request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace as with_fields

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.validate import validate
from flagger.kube.objects import Object
from flagger.rollout.state import Snapshot, Wait
from flagger.routing.base import RouteError, Router
from flagger.routing.table import ROUTERS, router_for
from flagger.runtime.commit import run_of
from flagger.runtime.world import World
from flagger.workloads.base import Sighting, TargetError, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A snapshot and the handles that its repairs and effects need.

    `stored` is the Canary as it is in the cluster. `workload` and `router` are None for a kind or provider
    that there is none for, `sighting` while the target is missing. `warnings` are faults that don't stop it.
    """

    seen: Snapshot
    stored: Object
    workload: Workload | None
    router: Router | None
    sighting: Sighting | None
    warnings: tuple[FieldError, ...] = ()

    @property
    def canary(self) -> Canary:
        """The typed Canary."""
        return self.seen.canary


def read(stored: Object) -> Canary:
    """The typed Canary, with the record of its run wherever that is kept.

    Raises:
        FieldError: the object can't be read as a Canary at all.
    """
    canary = Canary.parse(stored)
    if canary.status.run is not None:
        return canary
    return with_fields(canary, status=with_fields(canary.status, run=run_of(stored)))


async def view(world: World, stored: Object, canary: Canary, last_reason: str) -> View:
    """Look at everything that concerns one Canary, which is `stored` as `read`.

    Raises:
        KubeError: what it looks at can't be read.
    """
    provider = canary.provider(world.settings.mesh_provider)
    router, workload = router_for(provider), world.workloads.of(canary)
    default, everywhere = world.settings.mesh_provider, not world.settings.no_cross_namespace_refs
    findings = validate(canary, provider=default, cross_namespace=everywhere)
    faults = (finding.error for finding in findings if finding.is_error)
    problems = (*faults, *_unserved(canary, workload, provider, router), *_disputes(world, canary))
    now = world.clock().replace(microsecond=0)
    sighting, trouble = await _sight(workload, canary, now)
    if sighting is not None:
        watched = ((kind, canary.namespace, name) for kind, name in sighting.watched)
        world.registry.sighted(canary.key, watched)
    seen = Snapshot(
        canary=_labelled(canary, sighting),
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
    warnings = tuple(finding.error for finding in findings if not finding.is_error)
    return View(
        seen=seen, stored=stored, workload=workload, router=router, sighting=sighting, warnings=warnings
    )


async def has_come(world: World, before: View, wait: Wait | None) -> bool:
    """Whether what a tick waits for came while it was under way, when nobody knew of the wait yet."""
    if wait is None:
        return False
    seen = (await view(world, before.stored, before.canary, "")).seen
    match wait:
        case Wait.PRIMARY:
            return seen.primary is not None and seen.primary.readiness.ready
        case Wait.TARGET:
            return seen.target is not None and seen.target.readiness.ready
        case Wait.ROUTE:
            return seen.split is not None
        case _:
            assert_never(wait)


def _unserved(
    canary: Canary, workload: Workload | None, provider: str, router: Router | None
) -> Iterator[FieldError]:
    """What the API knows but this operator has no adapter for."""
    if workload is None:
        kind = canary.spec.target_ref.kind
        yield FieldError(
            "spec.targetRef.kind", f"{kind} is not supported", "release a Deployment or a DaemonSet"
        )
    if router is None:
        fix = f"use one of {', '.join(ROUTERS)}"
        yield FieldError("spec.provider", f"{provider!r} is not supported", fix)


def _disputes(world: World, canary: Canary) -> Iterator[FieldError]:
    dispute = world.registry.dispute(canary)
    if dispute is not None:
        yield dispute


def _labelled(canary: Canary, sighting: Sighting | None) -> Canary:
    """Routing objects carry the Services' own label, as upstream's do, where `service.apex` is given."""
    service = canary.spec.service
    if service.apex is None or sighting is None or sighting.selector is None:
        return canary
    labels = {**service.apex.labels, sighting.selector.label: canary.service_names.apex}
    apex = with_fields(service.apex, labels=labels)
    return with_fields(canary, spec=with_fields(canary.spec, service=with_fields(service, apex=apex)))


async def _sight(workload: Workload | None, canary: Canary, now: datetime) -> tuple[Sighting | None, str]:
    if workload is None:
        return None, ""
    try:
        return await workload.sight(canary, now), ""
    except TargetError as error:
        return None, str(error)


async def _with_split(world: World, seen: Snapshot, router: Router) -> Snapshot:
    try:
        return replace(seen, split=await world.routes.split(seen.canary, router))
    except RouteError as error:
        return replace(seen, split_trouble=str(error), written=error.written)
