"""A cluster of a few fields in which the rollout core is driven tick by tick, without I/O and without waits.

It does what the runtime does in the same order (look, repair, decide, act, last hooks, status) and keeps a
record of each tick, so that whole releases can be written down as tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec.structs import replace

from flagger.api.canary import Canary
from flagger.api.status import CanaryStatus
from flagger.rollout.decide import decide
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
from flagger.rollout.facts import Analyse, Check, Facts, HookAnswer, HookCalls, Need, Probe, Verdict
from flagger.rollout.gates import last_reports
from flagger.rollout.repair import Repair, repairs, rightful_split
from flagger.rollout.state import (
    READY,
    Alert,
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

    @property
    def available(self) -> int:
        """Pods that can take requests."""
        return self.replicas if self.readiness.ready else 0

    @property
    def state(self) -> WorkloadState:
        """What a snapshot shows of it; without pods a workload counts as ready."""
        readiness = self.readiness if self.replicas else READY
        return WorkloadState(
            revision=self.revision, readiness=readiness, replicas=self.replicas, available=self.available
        )


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
        self.status = self._parse({}).status
        if initialized:
            self.tick()
            self.tick()

    def _parse(self, status: Mapping[str, Any]) -> Canary:
        metadata = {"name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 1}
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
        )

    def tick(self) -> Tick:
        """One tick, exactly as the runtime does it."""
        seen, verdict, asked = self._conclude()
        for effect in verdict.effects:
            self._perform(effect)
        told = verdict.told
        if verdict.last_calls is not None:
            answers = self._call(verdict.last_calls, seen, asked)
            told = (*told, *last_reports(answers, verdict.last_calls.phase))
        self.status, self.last_reason = verdict.status, verdict.reason
        return self._record((*told, *verdict.told_last), asked)

    def _conclude(self) -> tuple[Snapshot, Decision, list[str]]:
        self.now += INTERVAL
        self.asked_checks = False
        seen = self.snapshot()
        if self._repair(seen):
            seen = self.snapshot()
        facts, asked = Facts(), []
        while not isinstance(verdict := decide(seen, facts), Decision):
            facts = self._observe(facts, verdict, seen, asked)
        return seen, verdict, asked

    def crash(self, after: int) -> None:
        """A tick that dies after some of its effects, before the status is written."""
        _, verdict, _ = self._conclude()
        for effect in verdict.effects[:after]:
            self._perform(effect)
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
            if repair is Repair.PRIMARY and self.primary is None:
                self.primary = Workload(revision=self.target.revision)
                changed = True
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
            case _:
                assert_never(need)

    def _call(self, calls: HookCalls, seen: Snapshot, asked: list[str]) -> tuple[HookAnswer, ...]:
        answers = []
        for hook in seen.canary.spec.analysis.webhooks:
            if hook.kind is not calls.type:
                continue
            status = self.hooks.get(hook.name, 200)
            asked.append(f"{hook.kind}={status}")
            answers.append(HookAnswer(hook.name, status <= 202, "closed", hook.mute_alert))
            if (status <= 202) is (calls.type == "rollback"):
                break
        return tuple(answers)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SetSplit(split):
                if self.features:
                    self.split = split
                    self._note_outage(split)
            case ScaleUp():
                self.target.replicas = 2
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
            case PauseScaler() | ResumeScaler() | UpdatePrimaryScaler():
                pass
            case _:
                assert_never(effect)

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
