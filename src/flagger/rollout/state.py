"""What one tick sees and what it concludes: frozen data, no behaviour beyond arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.phases import Phase
from flagger.api.status import CanaryStatus
from flagger.rollout.effects import Effect
from flagger.rollout.facts import HookCalls

TOTAL = 100


class Feature(StrEnum):
    """What a router can do with traffic."""

    WEIGHTS = "weights"
    MATCH = "match"
    MIRROR = "mirror"
    MIRROR_THEN_WEIGHTS = "mirror-then-weights"
    AFFINITY = "session affinity"


@dataclass(frozen=True, slots=True)
class Split:
    """How requests are divided, in percent; always adds up to 100.

    `mirrored` means that the canary gets a copy of the requests while users keep the primary's answer.
    """

    canary: int
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.canary <= TOTAL:
            raise ValueError(f"a canary weight is 0 to {TOTAL}, not {self.canary}")

    @property
    def primary(self) -> int:
        """The primary's share in percent."""
        return TOTAL - self.canary

    def __str__(self) -> str:
        return f"{self.primary}/{self.canary}{' +mirror' if self.mirrored else ''}"


HOME = Split(0)
"""All traffic on the primary."""

AWAY = Split(TOTAL)
"""All traffic on the canary."""


@dataclass(frozen=True, slots=True)
class Selector:
    """The pod label by which Services tell primary from canary: the canary has `value`."""

    label: str
    value: str

    @property
    def primary(self) -> str:
        """The label's value on the primary's pods."""
        return f"{self.value}-primary"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a workload can serve, and if not, why and whether waiting can still help.

    `terminal` means that a progress deadline has passed.
    """

    ready: bool
    message: str = ""
    terminal: bool = False


READY = Readiness(ready=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadState:
    """The target or the primary as it stands now.

    `revision` is the hash of what would be released, `replicas` the number of pods wanted, `available` that of
    pods that can take requests.
    """

    revision: str
    readiness: Readiness
    replicas: int = 1
    available: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a tick knows before it asks anybody.

    `configs` maps `configmap/<name>` and `secret/<name>` to checksums, or is None when nothing is tracked.
    `split` is what the routing object says, None when it can't be read; `split_trouble` then says why, and
    `written` is what it asks for in case that its controller has not taken it over yet.
    `trouble` says what else is missing that every tick needs. `problems` are the faults of the object itself
    that make it wait. `last_reason` is how the tick before ended, empty after a restart.
    """

    canary: Canary
    status: CanaryStatus
    now: datetime
    provider: str
    features: frozenset[Feature]
    target: WorkloadState | None
    primary: WorkloadState | None
    configs: Mapping[str, str] | None = None
    split: Split | None = None
    split_trouble: str = ""
    written: Split | None = None
    trouble: str = ""
    last_reason: str = ""
    problems: tuple[FieldError, ...] = ()

    @property
    def phase(self) -> Phase:
        """The phase at the beginning of the tick."""
        return self.status.phase

    @property
    def deleting(self) -> bool:
        """Whether the Canary is on its way out."""
        return self.canary.is_deleting or self.phase in (Phase.TERMINATING, Phase.TERMINATED)

    @property
    def name(self) -> str:
        """`<canary>.<namespace>`, as events spell it."""
        return f"{self.canary.metadata.name}.{self.canary.metadata.namespace}"

    @property
    def target_name(self) -> str:
        """`<target>.<namespace>`, as events spell it."""
        return f"{self.canary.spec.target_ref.name}.{self.canary.metadata.namespace}"

    @property
    def primary_name(self) -> str:
        """`<target>-primary.<namespace>`, as events spell it."""
        return f"{self.canary.primary_name}.{self.canary.metadata.namespace}"


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event to record; `phase` overrides the one in the event webhook's payload."""

    text: str
    warning: bool = False
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people; `facts` asks for target, thresholds and routing to be listed with it."""

    text: str
    severity: Severity
    facts: bool = False


Announcement = Event | Alert


class Outcome(StrEnum):
    """How a run ended, as the counters of finished runs label it."""

    PROMOTED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


class Wait(StrEnum):
    """What a tick is waiting for; its change is worth a tick of its own."""

    PRIMARY = "primary"
    TARGET = "target"
    ROUTE = "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a tick concludes: effects in order, then the status, then what is told to whom.

    `reason` is one sentence. `last_calls` are the hooks to call once the effects are done and before the
    status is written, so that a crash repeats them rather than losing them; what they say is told between
    `told` and `told_last`. `examined` says that the tick came as far as the analysis.
    """

    reason: str
    status: CanaryStatus
    effects: tuple[Effect, ...] = ()
    told: tuple[Announcement, ...] = ()
    last_calls: HookCalls | None = None
    told_last: tuple[Announcement, ...] = ()
    outcome: Outcome | None = None
    waits_for: Wait | None = None
    examined: bool = False

    def after(self, *first: Announcement) -> Self:
        """The same decision with announcements before its own."""
        return replace(self, told=(*first, *self.told))

    def with_status(self, status: CanaryStatus) -> Self:
        """The same decision with another status."""
        return replace(self, status=status)
