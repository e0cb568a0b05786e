"""Turns changes in the cluster into wake-ups of the Canaries they concern, and of no others.

A wake-up in the middle of an analysis would shorten it, so only what really matters wakes a running Canary:
another revision of its target, or the readiness that its last tick waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.phases import ACTIVE, INITIAL
from flagger.kube.cache import OnChange
from flagger.kube.objects import SERVICE, Kind, Object, key_of, name_of, namespace_of
from flagger.rollout.state import Wait
from flagger.routing.base import Router
from flagger.routing.table import router_for
from flagger.runtime.advance import Advance
from flagger.runtime.kinds import CANARY
from flagger.runtime.registry import Reference, claims_of
from flagger.runtime.schedule import Schedule
from flagger.runtime.world import World
from flagger.workloads.base import Workload
from flagger.workloads.checksums import tracked_checksum
from flagger.workloads.references import Reference as Config


class Watch:
    """Follows the Canaries, and each kind of object from when a Canary first looks at one."""

    def __init__(self, world: World, schedule: Schedule, advance: Advance) -> None:
        self._world, self._schedule, self._advance = world, schedule, advance
        self._subscribed: set[tuple[Kind, str]] = set()

    def start(self) -> None:
        """Follow all Canaries and, through them, whatever they look at."""
        self._world.registry.on_sight = self._follow_config
        self._subscribe(CANARY, self._canary_changed)

    def _canary_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        before = self._world.registry.forget(key)
        if new is None:
            self._schedule.drop(key)
            self._advance.forget(key)
            self._world.registry.sighted(key, ())
            if before is not None:
                self._world.telemetry.forget(before)
                self._wake_rivals(before)
            return
        try:
            canary = Canary.parse(new)
        except FieldError:
            if _intent_of(old) != _intent_of(new):
                self._schedule.wake(key)  # the tick says what is wrong
            return
        self._remember(canary)
        if before is not None and claims_of(before) != claims_of(canary):
            self._wake_rivals(before)
        if old is None:
            self._schedule.wake(key, self._until_due(canary))
        elif _intent_of(old) != _intent_of(new):
            self._spec_changed(canary)

    def _spec_changed(self, canary: Canary) -> None:
        """A running analysis keeps its pace under the new settings; anything else looks at them at once."""
        if canary.status.phase not in ACTIVE or canary.spec.suspend or canary.is_deleting:
            self._schedule.wake(canary.key)
        elif self._schedule.is_running(canary.key):
            self._schedule.wake(canary.key, self._interval(canary))
        else:
            self._schedule.rearm(canary.key, self._until_due(canary))

    def _until_due(self, canary: Canary) -> float:
        """Seconds to the next tick of a Canary whose last one is not known of.

        A run that was under way keeps its rhythm; the last write of its status is when it last moved.
        """
        since = canary.status.last_transition_time
        if canary.status.phase not in ACTIVE or since is None:
            return 0.0
        interval, passed = self._interval(canary), (self._world.clock() - since).total_seconds()
        return max(0.0, min(interval, interval - passed))

    def _interval(self, canary: Canary) -> float:
        return canary.interval(self._world.settings.analysis_interval_floor).total_seconds()

    def _remember(self, canary: Canary) -> None:
        workload = self._world.workloads.of(canary)
        self._world.registry.remember(canary, self._references(canary, workload))
        if workload is not None:
            self._subscribe(workload.kind, partial(self._workload_changed, workload.kind), "workload")
        router = self._router(canary)
        for kind in (SERVICE, *(router.kinds if router else ())):
            self._subscribe(kind, partial(self._other_changed, kind))

    def _wake_rivals(self, canary: Canary) -> None:
        """What this Canary no longer claims may be what a younger one has been waiting for."""
        for rival in self._world.registry.rivals(canary):
            self._schedule.wake(rival.key)

    def _router(self, canary: Canary) -> Router | None:
        return router_for(canary.provider(self._world.settings.mesh_provider))

    def _references(self, canary: Canary, workload: Workload | None) -> Iterator[Reference]:
        if workload is not None:
            yield workload.kind, canary.namespace, canary.target_name
            yield workload.kind, canary.namespace, canary.primary_name
        for name in canary.service_names:
            yield SERVICE, canary.namespace, name
        router = self._router(canary)
        if router is not None:
            yield from router.places(canary)

    def _follow_config(self, kind: Kind) -> None:
        self._subscribe(kind, partial(self._config_changed, kind), "config")

    def _subscribe(self, kind: Kind, on_change: OnChange, role: str = "") -> None:
        """Follow a kind, once per `role` that its objects play."""
        if (kind, role) not in self._subscribed:
            self._subscribed.add((kind, role))
            self._world.cluster.subscribe(kind, on_change)

    def _concerned(self, kind: Kind, obj: Object) -> list[Canary]:
        return self._world.registry.looking_at((kind, namespace_of(obj), name_of(obj)))

    def _workload_changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for canary in self._concerned(kind, new or old or {}):
            if self._matters(canary, kind, old, new):
                self._schedule.wake(canary.key)

    def _matters(self, canary: Canary, kind: Kind, old: Object | None, new: Object | None) -> bool:
        """Whether a change of the target or the primary is worth a tick of its own."""
        workload, wait = self._world.workloads.of(canary), self._advance.waits_for(canary.key)
        if workload is None or workload.kind != kind:
            return False
        primary = name_of(new or old or {}) == canary.primary_name
        if new is None or (old is None and not primary):
            return canary.status.phase not in ACTIVE or wait is not None
        if old is not None and not primary and workload.revision_of(old) != workload.revision_of(new):
            return True
        if wait is not (Wait.PRIMARY if primary else Wait.TARGET):
            return False
        return workload.readiness(canary, new, self._world.clock()).ready

    def _config_changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        """A ConfigMap or Secret of a target that is not what the last run released is as good as a revision."""
        obj, checksum = new or old or {}, tracked_checksum(new)
        for canary in self._concerned(kind, obj):
            released = canary.status.tracked_configs or {}
            if released.get(Config(kind, name_of(obj)).key) != checksum:
                self._schedule.wake(canary.key)

    def _other_changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        """A Service or route changed: an idle Canary puts it right at once, others in time."""
        for canary in self._concerned(kind, new or old or {}):
            waiting = self._advance.waits_for(canary.key) is Wait.ROUTE
            resting = canary.status.phase not in ACTIVE | INITIAL
            if waiting or (resting and _spec_differs(old, new)):
                self._schedule.wake(canary.key)


def _intent_of(stored: Object | None) -> tuple[object, object]:
    """Changes when somebody wants something else of a Canary; not with its status."""
    metadata = stored["metadata"] if stored else {}
    return metadata.get("generation"), metadata.get("deletionTimestamp")


def _spec_differs(old: Object | None, new: Object | None) -> bool:
    """Whether more changed than the status that a controller writes."""
    if old is None or new is None:
        return True
    same = ("labels", "annotations", "ownerReferences", "deletionTimestamp")
    before, after = old["metadata"], new["metadata"]
    return old.get("spec") != new.get("spec") or any(before.get(name) != after.get(name) for name in same)
