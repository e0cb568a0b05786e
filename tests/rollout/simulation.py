"""A cluster of a few fields in which the rollout core is driven tick by tick, without I/O and without waits.

It does what the runtime does in the same order (look, repair, decide, act, last hooks, status) and keeps a
record of each tick, so that whole releases can be written down as tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec.structs import replace

from flagger.api.canary import Canary
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
from flagger.rollout.repair import Repair, repairs
from flagger.rollout.state import (
    HOME,
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
    history: list[str] = field(default_factory=list)

    @property
    def state(self) -> WorkloadState:
        """What a snapshot shows of it."""
        serving = self.replicas if self.readiness.ready else 0
        return WorkloadState(revision=self.revision, readiness=self.readiness, available=serving)


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
        self.now += INTERVAL
        seen = self.snapshot()
        if self._repair(seen):
            seen = self.snapshot()
        facts, asked = Facts(), []
        while not isinstance(verdict := decide(seen, facts), Decision):
            facts = self._observe(facts, verdict, seen, asked)
        for effect in verdict.effects:
            self._perform(effect)
        told = verdict.told
        if verdict.last_calls is not None:
            answers = self._call(verdict.last_calls, seen, asked)
            told = (*told, *last_reports(answers, verdict.last_calls.phase))
        self.status, self.last_reason = verdict.status, verdict.reason
        return self._record((*told, *verdict.told_last), asked)

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
            if repair is Repair.ROUTE and self.split is None and self.features:
                self.split, changed = HOME, True
        return changed

    def _observe(self, facts: Facts, need: Need, seen: Snapshot, asked: list[str]) -> Facts:
        match need:
            case HookCalls():
                return facts.with_hooks(need, self._call(need, seen, asked))
            case Analyse():
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
                self.split = split if self.features else self.split
            case ScaleUp():
                self.target.replicas = 2
            case ScaleDown():
                self.target.replicas = 0
            case PromotePrimary(revision, _):
                assert self.target.revision == revision, "only the analysed revision may be promoted"
                assert self.primary is not None
                self.primary.history.append(self.primary.revision)
                self.primary.revision = revision
            case RestorePrimary():
                assert self.primary is not None
                self.primary.revision = self.primary.history.pop()
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
