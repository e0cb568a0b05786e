"""The ReleaseActions of each Canary that wait, in memory; filled by the watch, where the kind is served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from flagger.api.names import RELEASE_API_VERSION
from flagger.api.quantities import format_time
from flagger.api.release_action import APPROVAL_LIFETIME, ActionState
from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import Object, key_of, namespace_of
from flagger.runtime.kinds import RELEASE, RELEASE_ACTION

KEPT = 50
"""Decided acts that a Canary keeps."""
KEPT_FOR = timedelta(days=30)


class Acts:
    """All ReleaseActions by the Canary that they are for. `served` are the plurals of our kinds that exist."""

    def __init__(self) -> None:
        self.served: frozenset[str] = frozenset()
        self._of: defaultdict[str, dict[str, Object]] = defaultdict(dict)

    @property
    def recorded(self) -> bool:
        """Whether there are Releases to write."""
        return RELEASE.plural in self.served

    @property
    def complete(self) -> bool:
        """Whether all of our kinds are there."""
        return self.served >= {RELEASE.plural, RELEASE_ACTION.plural}

    def changed(self, old: Object | None, new: Object | None) -> str | None:
        """Take note of a change; returns the key of the Canary that has something to decide now."""
        before, after = canary_of(old), canary_of(new)
        if before and before != after and old is not None:
            self._drop(before, old)
        if not after or new is None:
            return None
        self._of[after][key_of(new)] = new
        fresh = old is None or _generation(old) != _generation(new)
        return after if fresh and not is_decided(new) else None

    def waiting(self, key: str) -> list[Object]:
        """The acts for a Canary that are not decided."""
        return [obj for obj in self._of.get(key, {}).values() if not is_decided(obj)]

    def outdated(self, now: datetime) -> Iterator[Object]:
        """Decided acts that needn't be kept: too old, or too many."""
        oldest = format_time(now - KEPT_FOR)
        for objects in self._of.values():
            decided = sorted(
                (obj for obj in objects.values() if is_decided(obj)), key=_decided_at, reverse=True
            )
            yield from (
                obj for index, obj in enumerate(decided) if index >= KEPT or _decided_at(obj) < oldest
            )

    def orphaned(self, now: datetime, knows: Callable[[str], bool]) -> Iterator[Object]:
        """Acts that have waited long enough for a Canary that does not exist."""
        oldest = format_time(now - APPROVAL_LIFETIME)
        for key in [key for key in self._of if not knows(key)]:
            yield from (obj for obj in self.waiting(key) if obj["metadata"]["creationTimestamp"] < oldest)

    def _drop(self, key: str, obj: Object) -> None:
        self._of[key].pop(key_of(obj), None)
        if not self._of[key]:
            del self._of[key]


async def served_kinds(client: Client) -> frozenset[str]:
    """Ask which of our own kinds the API server has; none where it can't be told."""
    try:
        answer = await client.raw("GET", f"/apis/{RELEASE_API_VERSION}")
    except KubeError:  # the group is not installed, or the server is away: asked again in time
        return frozenset()
    resources = msgspec.json.decode(answer, type=dict[str, Any]).get("resources") or ()
    return frozenset(str(resource["name"]) for resource in resources)


def canary_of(obj: Object | None) -> str:
    """The key of the Canary that an act is for; empty where it names none."""
    name = ((obj or {}).get("spec") or {}).get("canary")
    return f"{namespace_of(obj)}/{name}" if obj and isinstance(name, str) and name else ""


def is_decided(obj: Object) -> bool:
    """Whether it is known what has become of an act."""
    return (obj.get("status") or {}).get("state", "") not in ("", ActionState.PENDING)


def _decided_at(obj: Object) -> str:
    return str((obj.get("status") or {}).get("at") or obj["metadata"].get("creationTimestamp", ""))


def _generation(obj: Object) -> object:
    return obj["metadata"].get("generation")
