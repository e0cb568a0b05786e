"""Looks now and then whether acts and records can be had here, and lets old acts go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from flagger.api.quantities import format_time
from flagger.api.release_action import ActionState
from flagger.kube.errors import KubeError, NotFound
from flagger.kube.objects import key_of, name_of, namespace_of
from flagger.runtime.acts import served_kinds
from flagger.runtime.kinds import RELEASE_ACTION
from flagger.runtime.world import World

log = structlog.get_logger(__name__)

PERIOD = 60.0  # seconds


async def keep_acts(world: World, follow: Callable[[], None]) -> None:
    """Find out which of our kinds are served, `follow` the acts, and delete old ones, until cancelled.

    Where a cluster has none of the kinds this costs one request a minute, and no object of them is asked for.
    """
    while True:
        if not world.acts.complete:
            await look(world, follow)
        await sweep(world)
        await asyncio.sleep(PERIOD)


async def look(world: World, follow: Callable[[], None]) -> None:
    """Ask once which of our kinds are served."""
    world.acts.served = await served_kinds(world.cluster.client)
    if RELEASE_ACTION.plural in world.acts.served:
        follow()


async def sweep(world: World) -> None:
    """Delete acts that were decided long ago, and give up those whose Canary never came."""
    now = world.clock()
    for obj in [*world.acts.outdated(now)]:
        try:
            await world.cluster.delete(RELEASE_ACTION, name_of(obj), namespace_of(obj))
        except NotFound:
            continue
        except KubeError as error:
            log.warning("act not deleted", act=key_of(obj), problem=str(error))
    for obj in [*world.acts.orphaned(now, world.registry.knows)]:
        status = {
            "state": str(ActionState.EXPIRED),
            "code": f"{ActionState.EXPIRED}.NoCanary",
            "message": "there is no such Canary",
            "at": format_time(now),
        }
        try:
            await world.cluster.patch(
                RELEASE_ACTION, name_of(obj), namespace_of(obj), {"status": status}, subresource="status"
            )
        except KubeError as error:
            log.warning("act not given up", act=key_of(obj), problem=str(error))
