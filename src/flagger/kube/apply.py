"""Changing objects without touching what others own: minimal patches, create-or-patch, conflict retries."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from flagger.kube.cluster import Cluster
from flagger.kube.errors import AlreadyExists, Conflict, NotFound
from flagger.kube.objects import Kind, Object, name_of, namespace_of

T = TypeVar("T")
ATTEMPTS = 5
PAUSE = 0.05  # seconds after the first conflict, doubled after each later one


def merge_patch(old: Object, new: Object) -> Object | None:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`; None when they are equal.

    Lists are replaced as a whole. A None in `new` means "absent", as in the patch itself.
    """
    patch: Object = {key: None for key in old if old[key] is not None and new.get(key) is None}
    for key, value in new.items():
        if value is None or (key in old and old[key] == value):
            continue
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner is not None:
                patch[key] = inner
        else:
            patch[key] = without_nones(value)
    return patch or None


def owned_patch(live: Object, desired: Object) -> Object | None:
    """The merge patch that gives `live` every field that `desired` mentions; None when it has them already.

    Fields that `desired` does not mention belong to others; a None in it removes a field.
    """
    patch: Object = {}
    for key, value in desired.items():
        before = live.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = owned_patch(before, value)
            if inner is not None:
                patch[key] = inner
        elif value is None and before is not None:
            patch[key] = None
        elif value is not None and (key not in live or before != value):
            patch[key] = without_nones(value)
    return patch or None


def without_nones(value: Any) -> Any:
    """A value as it is after a merge patch: members that are None are absent, lists are as they are."""
    if isinstance(value, dict):
        return {key: without_nones(inner) for key, inner in value.items() if inner is not None}
    return value


async def ensure(cluster: Cluster, kind: Kind, desired: Object) -> Object:
    """Create `desired`, or change in the live object only what it mentions; no request when nothing differs.

    Returns the live object afterwards.
    """
    namespace, name = namespace_of(desired) or None, name_of(desired)
    live = await cluster.get(kind, namespace, name)
    if live is None:
        try:
            return await cluster.create(kind, without_nones(desired))
        except AlreadyExists:  # made a moment ago, and the cache has not heard of it
            live = await cluster.client.get(kind, name, namespace)
    patch = owned_patch(live, desired)
    if patch is None:
        return live
    try:
        return await cluster.patch(kind, name, namespace, patch)
    except NotFound:  # deleted a moment ago
        return await cluster.create(kind, without_nones(desired))


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
    """Run `attempt`, which reads, creates or changes, again when somebody else wrote in between.

    Raises:
        Conflict, AlreadyExists: it happened `attempts` times in a row.
    """
    for number in range(attempts - 1):
        try:
            return await attempt()
        except (Conflict, AlreadyExists):  # the cache is about to hear of it
            await asyncio.sleep(PAUSE * 2.0**number * random.uniform(0.5, 1.5))
    return await attempt()
