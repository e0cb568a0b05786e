"""A Canary that can't even be read: its condition and one event say which field; nothing else is touched."""

from __future__ import annotations

from flagger.api.errors import FieldError
from flagger.api.model import decode
from flagger.api.phases import Condition, with_rejection
from flagger.kube.objects import Object
from flagger.runtime.announce import announce_rejection
from flagger.runtime.kinds import CANARY
from flagger.runtime.world import World


async def reject(world: World, stored: Object, error: FieldError, *, told: bool) -> None:
    """Record why `stored` can't be used; the event is left out when it was `told` already."""
    metadata = stored["metadata"]
    before = tuple(decode(item, Condition) for item in stored.get("status", {}).get("conditions") or ())
    after = with_rejection(before, error, world.clock().replace(microsecond=0))
    if after != before:
        body = {"status": {"conditions": [condition.as_object() for condition in after]}}
        await world.cluster.patch(CANARY, metadata["name"], metadata["namespace"], body, subresource="status")
    if not told:
        announce_rejection(world.announcer, stored, str(error))
