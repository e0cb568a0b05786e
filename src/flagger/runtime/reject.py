"""A Canary that can't even be read: its condition and one event say which field; nothing else is touched."""

from __future__ import annotations

from typing import Any

from flagger.api.errors import FieldError
from flagger.api.model import decode
from flagger.api.phases import ACCEPTED, Condition, with_rejection
from flagger.kube.objects import Object
from flagger.runtime.announce import announce_rejection
from flagger.runtime.kinds import CANARY
from flagger.runtime.world import World


async def reject(world: World, stored: Object, error: FieldError, *, told: bool) -> None:
    """Record why `stored` can't be used; the event is left out when it was `told` already.

    Other conditions stay as they are stored, even those that make no sense.
    """
    if not told:
        announce_rejection(world.announcer, stored, str(error))
    metadata, before = stored["metadata"], _stored_conditions(stored)
    known = [condition for condition in map(_decoded, before) if condition and condition.type == ACCEPTED]
    (rejection,) = with_rejection(known, error, world.clock().replace(microsecond=0))
    after = [item for item in before if _type_of(item) != ACCEPTED] + [rejection.as_object()]
    if after != before:
        body = {"status": {"conditions": after}}
        await world.cluster.patch(CANARY, metadata["name"], metadata["namespace"], body, subresource="status")


def _stored_conditions(stored: Object) -> list[Any]:
    status = stored.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return conditions if isinstance(conditions, list) else []


def _decoded(item: Any) -> Condition | None:
    try:
        return decode(item, Condition)
    except FieldError:
        return None


def _type_of(item: Any) -> Any:
    return item.get("type") if isinstance(item, dict) else None
