"""The finalizer of a Canary, and the way back of what a deletion hands back; nothing that is missing holds it up."""

from __future__ import annotations

import structlog

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.names import FINALIZER
from flagger.api.phases import Phase
from flagger.kube.apply import retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.errors import NotFound
from flagger.kube.objects import Object, is_terminating, resource_version_of, uid_of
from flagger.rollout.effects import (
    Disown,
    Farewell,
    HandBackApex,
    HandBackRoutes,
    RemoveFinalizer,
    RevertTarget,
)
from flagger.routing.base import RouteError
from flagger.runtime.announce import shown
from flagger.runtime.belongings import disown
from flagger.runtime.kinds import CANARY
from flagger.runtime.snapshot import View, read
from flagger.runtime.world import World
from flagger.workloads.base import TargetError
from flagger.workloads.scalers import resume_scaler

log = structlog.get_logger(__name__)


async def part(world: World, view: View, effect: Farewell) -> None:
    """Carry out one step of a deletion.

    Raises:
        KubeError: the API refused; the tick is repeated.
    """
    canary, workload, sighting = view.canary, view.workload, view.sighting
    match effect:
        case RevertTarget() if workload is not None:
            try:
                await resume_scaler(world.cluster, canary)
            except TargetError as error:
                log.warning("autoscaler not resumed", canary=shown(canary), reason=str(error))
            await workload.revert(canary)
        case HandBackApex():
            await world.services.hand_back(canary, sighting.selector if sighting else None)
        case HandBackRoutes() if view.router is not None:
            try:
                await world.routes.hand_back(canary, view.router)
            except RouteError as error:
                log.warning("routes not handed back", canary=shown(canary), reason=str(error))
        case Disown():
            await disown(world.cluster, view)
        case RemoveFinalizer():
            await set_finalizer(world.cluster, view.stored, present=False)


async def set_finalizer(cluster: Cluster, stored: Object, *, present: bool) -> None:
    """Have the Canary wait for us when it is deleted, or let it go; those of others stay.

    Raises:
        KubeError: the API refused.
    """
    name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]

    async def attempt() -> None:
        live = await cluster.client.get(CANARY, name, namespace)
        finalizers = live["metadata"].get("finalizers") or []
        if uid_of(live) != uid_of(stored) or (FINALIZER in finalizers) is present:
            return
        if present and is_terminating(live):
            return  # too late, the API accepts no more
        others = [entry for entry in finalizers if entry != FINALIZER]
        wanted = [*others, FINALIZER] if present else others
        body = {"metadata": {"finalizers": wanted or None, "resourceVersion": resource_version_of(live)}}
        # An object that goes with this write must not come back to the caches as its answer.
        writer = cluster.client if is_terminating(live) else cluster
        await writer.patch(CANARY, name, namespace, body)

    try:
        await retry_on_conflict(attempt)
    except NotFound:
        return


def is_held(stored: Object) -> bool:
    """Whether a Canary is being deleted and waits for us."""
    return is_terminating(stored) and FINALIZER in (stored["metadata"].get("finalizers") or ())


def read_once_more(stored: Object) -> Canary:
    """A Canary that is being deleted, from what can be read of it: its target is enough to hand that back.

    Raises:
        FieldError: not even that.
    """
    try:
        return read(stored)
    except FieldError:
        spec, phase = stored.get("spec") or {}, (stored.get("status") or {}).get("phase", "")
    status = {"phase": phase if phase in set(Phase) else Phase.TERMINATING}
    rest = {"revertOnDeletion": spec.get("revertOnDeletion") is True, "analysis": {}}
    try:
        kept = {field: spec[field] for field in ("targetRef", "autoscalerRef", "service") if field in spec}
        return Canary.parse(
            {**stored, "spec": {**kept, "provider": spec.get("provider", ""), **rest}, "status": status}
        )
    except FieldError:
        target = {"targetRef": spec.get("targetRef")}
        return Canary.parse({**stored, "spec": {**target, **rest}, "status": status})
