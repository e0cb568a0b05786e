"""Carries out the effects of a decision, each of which may be repeated."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from flagger.api.status import CanaryStatus
from flagger.rollout.effects import (
    Effect,
    PauseScaler,
    PromotePrimary,
    RestorePrimary,
    ResumeScaler,
    ScaleDown,
    ScaleUp,
    SetSplit,
    UpdatePrimaryScaler,
)
from flagger.rollout.state import Feature, Split
from flagger.runtime.snapshot import View
from flagger.runtime.world import World
from flagger.workloads.scalers import ensure_primary_scaler, pause_scaler, resume_scaler


async def perform(world: World, view: View, effect: Effect, status: CanaryStatus) -> None:
    """Carry out one effect; `status` is what the tick will commit: routes may carry its cookies.

    Raises:
        KubeError: the API refused; the tick is repeated.
        SupersededError: the target is no longer what was analysed.
    """
    canary, workload = view.canary, view.workload
    if workload is None:
        return
    match effect:
        case SetSplit(split):
            await _route(world, view, split, status)
        case ScaleUp():
            await workload.scale_up(canary)
        case ScaleDown():
            await workload.scale_down(canary)
        case PromotePrimary(revision, configs):
            await workload.promote(canary, revision, configs)
        case RestorePrimary():
            await workload.restore(canary)
        case UpdatePrimaryScaler():
            await ensure_primary_scaler(world.cluster, canary, update=True)
        case PauseScaler():
            await pause_scaler(world.cluster, canary)
        case ResumeScaler():
            await resume_scaler(world.cluster, canary)
        case _:
            assert_never(effect)


async def _route(world: World, view: View, split: Split, status: CanaryStatus) -> None:
    if view.router is not None and Feature.WEIGHTS in view.router.features:
        await world.routes.reconcile(replace(view.canary, status=status), view.router, split)
