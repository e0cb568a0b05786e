"""Turns changes in the cluster into wake-ups of the Canaries they concern, and of no others.

A wake-up in the middle of an analysis would shorten it, so only what really matters wakes a running Canary:
another revision of its target, or the readiness that its last tick waits for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.phases import ACTIVE, INITIAL
from flagger.kube.cluster import Cluster
from flagger.kube.objects import SERVICE, Kind, Object, key_of, name_of, namespace_of
from flagger.rollout.state import Wait
from flagger.routing.table import ROUTERS, router_for
from flagger.runtime.advance import Advance
from flagger.runtime.kinds import CANARY
from flagger.runtime.schedule import Schedule
from flagger.runtime.settings import Settings
from flagger.workloads.base import Workload
from flagger.workloads.table import Workloads

Reference = tuple[str, str, str]
"""Kind, namespace and name of an object that a Canary looks at."""


class Watch:
    """Knows which Canary looks at which objects; subscribes to each kind when a Canary first needs it."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        workloads: Workloads,
        schedule: Schedule,
        advance: Advance,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster, self._settings, self._clock = cluster, settings, clock
        self._workloads, self._schedule, self._advance = workloads, schedule, advance
        self._canaries: dict[str, Canary] = {}
        self._looked_at: dict[Reference, set[str]] = defaultdict(set)
        self._subscribed: set[Kind] = set()

    def start(self) -> None:
        """Follow all Canaries and, through them, whatever they refer to."""
        self._cluster.subscribe(CANARY, self._canary_changed)

    @property
    def canaries(self) -> list[Canary]:
        """All Canaries that can be read."""
        return list(self._canaries.values())

    def population(self) -> dict[str, int]:
        """Number of Canaries per namespace."""
        return dict(Counter(canary.namespace for canary in self._canaries.values()))

    def _canary_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        self._forget(key)
        if new is None:
            self._schedule.drop(key)
            self._advance.forget(key)
            return
        try:
            canary = Canary.parse(new)
        except FieldError:
            self._schedule.wake(key)  # the tick says what is wrong
            return
        self._remember(key, canary)
        if old is None:
            self._schedule.wake(key, self._until_due(canary))
        elif old["metadata"].get("generation") != new["metadata"].get("generation"):
            self._spec_changed(key, canary)

    def _spec_changed(self, key: str, canary: Canary) -> None:
        """A running analysis keeps its pace under the new settings; anything else looks at them at once."""
        running = canary.status.phase in ACTIVE and not canary.spec.suspend
        due = self._schedule.due_in(key)
        self._schedule.wake(key, self._until_due(canary) if running and due is not None else 0.0)

    def _until_due(self, canary: Canary) -> float:
        """Seconds to the next tick of a Canary that is met for the first time.

        A run that was under way keeps its rhythm; the last write of its status is when it last moved.
        """
        since = canary.status.last_transition_time
        if canary.status.phase not in ACTIVE or since is None:
            return 0.0
        interval = canary.interval(self._settings.analysis_interval_floor)
        passed = self._clock() - since
        return max(0.0, min(interval.total_seconds(), (interval - passed).total_seconds()))

    def _remember(self, key: str, canary: Canary) -> None:
        self._canaries[key] = canary
        workload = self._workloads.of(canary)
        if workload is not None:
            self._subscribe(workload.kind, self._workload_changed)
        self._subscribe(SERVICE, self._other_changed)
        for kind in self._route_kinds(canary):
            self._subscribe(kind, self._other_changed)
        for reference in self._references(canary, workload):
            self._looked_at[reference].add(key)

    def _forget(self, key: str) -> None:
        canary = self._canaries.pop(key, None)
        if canary is None:
            return
        for reference in self._references(canary, self._workloads.of(canary)):
            self._looked_at[reference].discard(key)
            if not self._looked_at[reference]:
                del self._looked_at[reference]

    def _route_kinds(self, canary: Canary) -> Iterator[Kind]:
        provider = canary.provider(self._settings.mesh_provider)
        router = router_for(provider) if provider in ROUTERS else None
        yield from router.kinds if router else ()

    def _references(self, canary: Canary, workload: Workload | None) -> Iterator[Reference]:
        if workload is not None:
            yield workload.kind.kind, canary.namespace, canary.target_name
            yield workload.kind.kind, canary.namespace, canary.primary_name
        for name in canary.service_names:
            yield SERVICE.kind, canary.namespace, name
        for kind in self._route_kinds(canary):
            yield kind.kind, canary.namespace, canary.service_names.apex

    def _subscribe(self, kind: Kind, on_change: Callable[[Object | None, Object | None], None]) -> None:
        if kind not in self._subscribed:
            self._subscribed.add(kind)
            self._cluster.subscribe(kind, on_change)

    def _concerned(self, obj: Object) -> list[tuple[str, Canary]]:
        reference = (str(obj.get("kind", "")), namespace_of(obj), name_of(obj))
        return [(key, self._canaries[key]) for key in self._looked_at.get(reference, ())]

    def _workload_changed(self, old: Object | None, new: Object | None) -> None:
        for key, canary in self._concerned(new or old or {}):
            workload = self._workloads.of(canary)
            if workload is not None and self._matters(key, canary, workload, (old, new)):
                self._schedule.wake(key)

    def _matters(
        self, key: str, canary: Canary, workload: Workload, change: tuple[Object | None, Object | None]
    ) -> bool:
        """Whether a change of the target or the primary is worth a tick of its own."""
        old, new = change
        if old is None or new is None:
            return canary.status.phase not in ACTIVE or self._advance.waits.get(key) is not None
        primary = name_of(new) == canary.primary_name
        if not primary and workload.revision_of(old) != workload.revision_of(new):
            return True
        wait = Wait.PRIMARY if primary else Wait.TARGET
        if self._advance.waits.get(key) is not wait:
            return False
        return workload.readiness(canary, new, self._clock()).ready

    def _other_changed(self, old: Object | None, new: Object | None) -> None:
        """A Service or route changed: an idle Canary puts it right at once, others in time."""
        for key, canary in self._concerned(new or old or {}):
            waiting = self._advance.waits.get(key) is Wait.ROUTE
            resting = canary.status.phase not in ACTIVE | INITIAL
            if waiting or (resting and _spec_differs(old, new)):
                self._schedule.wake(key)


def _spec_differs(old: Object | None, new: Object | None) -> bool:
    """Whether more changed than the status that a controller writes."""
    if old is None or new is None:
        return True
    same = ("labels", "annotations", "ownerReferences", "deletionTimestamp")
    before, after = old["metadata"], new["metadata"]
    return old.get("spec") != new.get("spec") or any(before.get(name) != after.get(name) for name in same)
