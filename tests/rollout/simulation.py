"""A cluster of a few fields in which the rollout core is driven tick by tick, without I/O and without waits.

It does what the runtime does in the same order (look, repair, decide, act, last hooks, status) and keeps a
record of each tick, so that whole releases can be written down as tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as replace_tick
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec.structs import replace

from flagger.api.canary import Canary
from flagger.api.capacity import CapacityLimits
from flagger.api.gates import is_native
from flagger.api.model import decode
from flagger.api.names import FINALIZER
from flagger.api.quantities import format_time
from flagger.api.release_action import ActionSpec, ActionState, Identity
from flagger.api.status import CanaryStatus, Hold
from flagger.rollout.act import Act, ActResult
from flagger.rollout.capacity import RETREAT_WITHIN, canary_floor, carried, divides, next_floor, primary_floor
from flagger.rollout.capacity import bearable as bearable_share
from flagger.rollout.decide import decide
from flagger.rollout.effects import (
    Disown,
    Effect,
    Farewell,
    HandBackApex,
    HandBackRoutes,
    PauseScaler,
    PromotePrimary,
    RemoveFinalizer,
    RestorePrimary,
    ResumeScaler,
    RevertTarget,
    ScaleDown,
    ScaleUp,
    SetSplit,
    UpdatePrimaryScaler,
)
from flagger.rollout.facts import (
    Analyse,
    Check,
    Facts,
    HookAnswer,
    HookCalls,
    Need,
    Permission,
    Permit,
    Probe,
    Verdict,
)
from flagger.rollout.gates import last_reports
from flagger.rollout.pins import current_run
from flagger.rollout.repair import Repair, repairs, rightful_split
from flagger.rollout.state import (
    READY,
    Alert,
    Autoscaling,
    Decision,
    Event,
    Feature,
    Readiness,
    Snapshot,
    Split,
    WorkloadState,
)
from flagger.runtime.commit import plain

EVERYTHING = frozenset(Feature)
INTERVAL = timedelta(seconds=30)
LEAST = 3
"""What an autoscaler keeps by itself, in pods."""
LIMITS = CapacityLimits(cool_down=timedelta(minutes=5), max_wait=timedelta(minutes=10))
START = datetime(2030, 1, 5, 10, 0, tzinfo=UTC)
BAD_CHECK = "Halt checkout.shop advancement success rate 97.20% < 99%"
PRIMARY = "checkout-api-primary.shop not ready: "
CANARY = "canary deployment checkout-api.shop not ready: "


@dataclass(kw_only=True)
class Workload:
    """A side of the release: what it runs, how many pods, and how it is doing."""

    revision: str
    replicas: int = 2
    readiness: Readiness = READY
    previous: str = ""
    missing: int = 0
    """Pods that do not serve yet; one always does, as no readiness threshold lets a workload count as ready without."""
    autoscaling: Autoscaling | None = None
    floor: int = 0

    @property
    def available(self) -> int:
        """Pods that can take requests."""
        return max(min(1, self.replicas), self.replicas - self.missing) if self.readiness.ready else 0

    @property
    def state(self) -> WorkloadState:
        """What a snapshot shows of it; without pods a workload counts as ready."""
        readiness = self.readiness if self.replicas else READY
        return WorkloadState(
            revision=self.revision,
            readiness=readiness,
            replicas=self.replicas,
            available=self.available,
            autoscaling=self.autoscaling,
        )

    def scale(self, load: int) -> None:
        """What its autoscaler does when the load takes so many pods."""
        if self.autoscaling is not None and self.replicas:
            floor = 0 if self.autoscaling.contested else self.floor
            self.replicas = min(self.autoscaling.most, max(LEAST, floor, load))


@dataclass(frozen=True, kw_only=True)
class Tick:
    """The record of a tick: the state after it, and what was said in it."""

    phase: str
    split: str
    weight: int
    iterations: int
    failed: int
    target: str
    said: tuple[str, ...]
    alerts: tuple[str, ...]
    asked: tuple[str, ...]
    results: tuple[ActResult, ...] = ()


class World:
    """One Canary `checkout` of Deployment `checkout-api` in namespace `shop`, and everything around it."""

    def __init__(
        self, analysis: Mapping[str, Any], *, provider: str = "istio", initialized: bool = True
    ) -> None:
        base = {"interval": "30s", "threshold": 3}
        self.spec: dict[str, Any] = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout-api"},
            "provider": provider,
            "service": {"port": 80},
            "analysis": {**base, **analysis},
        }
        self.provider = provider
        self.features = frozenset() if provider == "kubernetes" else EVERYTHING
        self.now = START
        self.target = Workload(revision="A")
        self.primary: Workload | None = None
        self.split: Split | None = None
        self.hooks: dict[str, int] = {}
        self.checks_fail = False
        self.asked_checks = False
        self.outages: list[str] = []
        self.last_reason = ""
        self.acts: list[Act] = []
        self.hold: Hold | None = None
        self.early = False
        self.images: frozenset[str] = frozenset()
        self.forbidden: set[str] = set()
        self.finalizers: list[str] = []
        self.deleted_at: datetime | None = None
        self.served_by = "primary"
        self.capacity: CapacityLimits | None = LIMITS
        self.load = 0
        self.scalers_work = True
        self.overloads: list[str] = []
        self.status = self._parse({}).status
        if initialized:
            self.tick()
            self.tick()

    def _parse(self, status: Mapping[str, Any]) -> Canary:
        metadata: dict[str, Any] = {"name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 1}
        metadata["finalizers"] = self.finalizers
        if self.deleted_at is not None:
            metadata["deletionTimestamp"] = format_time(self.deleted_at)
        return Canary.parse({"metadata": metadata, "spec": self.spec, "status": dict(status)})

    def snapshot(self) -> Snapshot:
        """What the next tick sees."""
        canary = replace(self._parse({}), status=self.status)
        split = self.split
        if not self.features:
            split = Split(100 if self.status.iterations > 0 else 0)
        return Snapshot(
            canary=canary,
            status=self.status,
            now=self.now,
            provider=self.provider,
            features=self.features,
            target=self.target.state,
            primary=self.primary.state if self.primary else None,
            split=split,
            split_trouble="" if split else "the route is missing",
            last_reason=self.last_reason,
            acts=tuple(self.acts),
            hold=self.hold,
            early=self.early,
            images=self.images,
            capacity=self.capacity,
        )

    def act(self, action: str, *, uid: str = "", verified: bool = False, **spec: Any) -> Act:
        """Somebody wants something; the run that is current is meant unless the act says otherwise."""
        named = {"canary": "checkout", "action": action, "requestedBy": {"username": "ana"}, **spec}
        if "pin" not in named and action not in ("pause", "resume"):
            named["pin"] = {"run": current_run(self.snapshot())}
        identity = Identity.VERIFIED if verified else Identity.UNVERIFIED
        created = self.now + timedelta(seconds=len(self.acts))
        act = Act(
            uid=uid or f"act-{len(self.acts)}-{created:%H%M%S}",
            spec=decode(named, ActionSpec),
            created=created,
            identity=identity,
        )
        self.acts.append(act)
        return act

    def tick(self) -> Tick:
        """One tick, exactly as the runtime does it."""
        seen, verdict, asked = self._conclude()
        for effect in verdict.effects:
            self._perform(effect, verdict.status)
        told = verdict.told
        if verdict.last_calls is not None:
            answers = self._call(verdict.last_calls, seen, asked)
            told = (*told, *last_reports(answers, verdict.last_calls.phase))
        self.status, self.last_reason = verdict.status, verdict.reason
        done = {
            result.act.uid for result in verdict.results if result.answer.state is not ActionState.PENDING
        }
        self.acts = [act for act in self.acts if act.uid not in done]
        return replace_tick(self._record((*told, *verdict.told_last), asked), results=verdict.results)

    def _conclude(self) -> tuple[Snapshot, Decision, list[str]]:
        self.now += INTERVAL
        self.asked_checks = False
        self._autoscale()
        seen = self.snapshot()
        if self._repair(seen):
            seen = self.snapshot()
        facts, asked = Facts(), []
        while not isinstance(verdict := decide(seen, facts), Decision):
            facts = self._observe(facts, verdict, seen, asked)
        return seen, verdict, asked

    def delete(self) -> None:
        """Somebody deletes the Canary, which has our finalizer."""
        self.finalizers, self.deleted_at = [FINALIZER], self.now

    def autoscaled(self, load: int) -> None:
        """From now on both sides have autoscalers, and all traffic takes `load` pods."""
        assert self.primary is not None
        self.load = load
        for side in (self.target, self.primary):
            side.autoscaling = Autoscaling(most=30)
        self._autoscale()

    def _autoscale(self) -> None:
        """The autoscalers follow the load, unless they are out of order."""
        share = self.split.canary if self.split else 0
        if self.scalers_work:
            self.target.scale(-(-self.load * share // 100))
            if self.primary is not None:
                self.primary.scale(-(-self.load * (100 - share) // 100))

    def crash(self, after: int) -> None:
        """A tick that dies after some of its effects, before the status is written."""
        _, verdict, _ = self._conclude()
        for effect in verdict.effects[:after]:
            self._perform(effect, verdict.status)
        self.last_reason = ""

    def meddle(self, weight: int) -> None:
        """Somebody writes another weight into the route."""
        if self.split is not None:
            self.split = Split(weight)

    def rests(self) -> bool:
        """Whether another tick would do and write nothing."""
        _, verdict, _ = self._conclude()
        return not verdict.effects and verdict.status == self.status

    def reread(self) -> CanaryStatus:
        """The status as a fresh process reads it from the cluster."""
        return self._parse(plain(self.status)).status

    def _note_outage(self, split: Split) -> None:
        """Remember traffic that is sent to a side without pods while the other side has some."""
        primary, canary = self.primary.available if self.primary else 0, self.target.available
        if (split.canary and not canary and primary) or (split.primary and not primary and canary):
            self.outages.append(f"{split} with {primary} primary and {canary} canary pods")

    def _note_overload(self, split: Split) -> None:
        """Remember a share that a side has no pods for: the canary's at any time, the primary's after promotion."""
        seen, live = self.snapshot(), self.split or Split(0)
        side, run = seen.target, self.status.run
        if side is None or run is None or not divides(seen) or self.status.phase == "Failed":
            return
        since = run.short_since
        late = since is not None and self.now >= since + (RETREAT_WITHIN if run.retreat else LIMITS.max_wait)
        if self.primary is not None and self.status.phase == "Promoting" and not late:
            self._note_hurry(seen, live, split)
        if split.canary <= live.canary or split.mirrored or late or not self.primary_serves:
            return
        bearable = carried(seen, side)
        if side.autoscaling is not None and side.autoscaling.contested:
            bearable = max(bearable, bearable_share(seen, side, live.canary))
        if split.canary > bearable:
            self.overloads.append(f"{live} to {split} with {side.available} of {self.status.run} pods")

    @property
    def primary_serves(self) -> bool:
        """Whether the primary has a pod: without one, everybody is better off on the canary."""
        return self.primary is not None and self.primary.available > 0

    def _note_hurry(self, seen: Snapshot, live: Split, split: Split) -> None:
        """Remember traffic of a healthy canary that comes home to too few pods."""
        trusted = self.target.readiness.ready and self.target.revision == self.status.last_applied_spec
        if seen.primary is None or not trusted or split.primary <= live.primary:
            return
        if split.primary > carried(seen, seen.primary):
            self.overloads.append(f"{live} to {split} with {seen.primary.available} primary pods")

    def _record(self, told: tuple[Event | Alert, ...], asked: list[str]) -> Tick:
        return Tick(
            phase=str(self.status.phase),
            split=str(self.split) if self.split and self.features else "n/a",
            weight=self.status.canary_weight,
            iterations=self.status.iterations,
            failed=self.status.failed_checks,
            target="up" if self.target.replicas else "0",
            said=tuple(
                f"{'W' if item.warning else 'N'}: {item.text}" for item in told if isinstance(item, Event)
            ),
            alerts=tuple(str(item.severity) for item in told if isinstance(item, Alert)),
            asked=tuple(asked),
        )

    def _repair(self, seen: Snapshot) -> bool:
        changed = False
        for repair in repairs(seen):
            if repair is Repair.FINALIZER:
                self.finalizers = [] if self.finalizers else [FINALIZER]
            if repair is Repair.PRIMARY and self.primary is None:
                self.primary = Workload(revision=self.target.revision)
                changed = True
            if repair is Repair.SCALER and self.primary is not None:
                self.primary.floor = primary_floor(seen)
            if repair is Repair.CANARY_SCALER:
                self.target.floor = canary_floor(seen)
            if repair is Repair.ROUTE and self.features and self.split != rightful_split(seen):
                self.split, changed = rightful_split(seen), True
        return changed

    def _observe(self, facts: Facts, need: Need, seen: Snapshot, asked: list[str]) -> Facts:
        match need:
            case HookCalls():
                return facts.with_hooks(need, self._call(need, seen, asked))
            case Analyse():
                self.asked_checks = True
                verdict, message = (Verdict.FAIL, BAD_CHECK) if self.checks_fail else (Verdict.PASS, "")
                return facts.with_checks((Check("request-success-rate", verdict, message=message),))
            case Probe():
                return facts.with_probe(())
            case Permit():
                allowed = not self.forbidden.issuperset(need.verbs)
                return facts.with_permission(need, Permission(allowed))
            case _:
                assert_never(need)

    def _call(self, calls: HookCalls, seen: Snapshot, asked: list[str]) -> tuple[HookAnswer, ...]:
        answers = []
        for hook in seen.canary.spec.analysis.webhooks:
            if hook.kind is not calls.type or is_native(hook) or hook.name in calls.opened:
                continue
            status = self.hooks.get(hook.name, 200)
            asked.append(f"{hook.kind}={status}")
            answers.append(HookAnswer(hook.name, status <= 202, "closed", hook.mute_alert))
            if (status <= 202) is (calls.type == "rollback"):
                break
        return tuple(answers)

    def _perform(self, effect: Effect, status: CanaryStatus) -> None:
        match effect:
            case SetSplit(split):
                if self.features:
                    self._note_overload(split)
                    self.split = split
                    self._note_outage(split)
                self.target.floor = next_floor(self.snapshot(), status, split)
            case ScaleUp(least):
                self.target.floor = least or self.target.floor
                self.target.replicas = max(LEAST, self.target.floor) if self.target.autoscaling else 2
            case ScaleDown():
                self.target.replicas = 0
            case PromotePrimary(revision, _):
                assert self.target.revision == revision, "only the analysed revision may be promoted"
                assert self.primary is not None
                if self.primary.revision != revision:
                    self.primary.previous, self.primary.revision = self.primary.revision, revision
            case RestorePrimary():
                assert self.primary is not None
                self.primary.revision = self.primary.previous or self.primary.revision
            case RevertTarget() | HandBackApex() | HandBackRoutes() | Disown() | RemoveFinalizer():
                self._part(effect)
            case PauseScaler():
                self.target.floor = 0
            case ResumeScaler() | UpdatePrimaryScaler():
                pass
            case _:
                assert_never(effect)

    def _part(self, effect: Farewell) -> None:
        match effect:
            case RevertTarget():
                self.target.replicas = self.primary.replicas if self.primary else self.target.replicas or 1
            case HandBackApex() | HandBackRoutes():
                assert self.target.available or not (self.primary and self.primary.available)
                self.served_by = "target"
            case Disown():
                self.primary = None
            case RemoveFinalizer():
                self.finalizers.remove(FINALIZER)

    def given(self, changes: Mapping[str, Any]) -> None:
        """What happens before the next tick, in the words of the tables."""
        self.checks_fail = False
        for what, value in changes.items():
            match what:
                case "target":
                    self.target.revision = value
                case "canary":
                    self.target.readiness = _readiness(value, CANARY)
                case "primary":
                    assert self.primary is not None or value
                    primary = self.primary or Workload(revision=self.target.revision)
                    primary.readiness = _readiness(value, PRIMARY)
                    self.primary = primary
                case "checks":
                    self.checks_fail = value == "fail"
                case "hooks":
                    self.hooks.update(value)
                case "spec":
                    self.spec |= value
                case _:
                    raise ValueError(what)


def _readiness(text: str, prefix: str) -> Readiness:
    """`ready`, or why not; a leading `!` says that waiting is over."""
    if text == "ready":
        return READY
    return Readiness(False, prefix + text.removeprefix("!"), terminal=text.startswith("!"))
