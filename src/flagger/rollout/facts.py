"""Questions that the core asks, and the answers it gets within a tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from flagger.api.analysis import HookType
from flagger.api.phases import Phase


class Verdict(StrEnum):
    """What one check of an analysis says."""

    PASS = "pass"
    FAIL = "fail"
    NO_DATA = "no data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class HookCalls:
    """Call the hooks of one type in list order; the first that refuses ends the round.

    Rollback hooks end it at the first that agrees instead. `phase` is what the payload carries.
    """

    type: HookType
    phase: Phase


@dataclass(frozen=True, slots=True)
class Analyse:
    """Run the rollout hooks and evaluate every metric."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask every metric provider whether it answers."""


Need = HookCalls | Analyse | Probe


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What a hook said; `detail` is its error text, `muted` suppresses waiting alerts."""

    name: str
    ok: bool
    detail: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One rollout hook or metric of an analysis pass.

    `value` is in the metric's own unit as the gauge records it; `message` is the text of the event.
    """

    name: str
    verdict: Verdict
    value: float | None = None
    message: str = ""


Answer = tuple[HookAnswer, ...] | tuple[Check, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers collected so far."""

    hook_answers: Mapping[HookCalls, tuple[HookAnswer, ...]] = field(default_factory=dict)
    checks: tuple[Check, ...] | None = None
    provider_faults: tuple[str, ...] | None = None

    def with_hooks(self, calls: HookCalls, answers: tuple[HookAnswer, ...]) -> Self:
        """The same facts and the answers of one round of hooks."""
        return type(self)({**self.hook_answers, calls: answers}, self.checks, self.provider_faults)

    def with_checks(self, checks: tuple[Check, ...]) -> Self:
        """The same facts and the checks of an analysis pass."""
        return type(self)(self.hook_answers, checks, self.provider_faults)

    def with_probe(self, faults: tuple[str, ...]) -> Self:
        """The same facts and what is wrong with the metric providers; nothing when all answer."""
        return type(self)(self.hook_answers, self.checks, faults)
