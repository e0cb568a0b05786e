"""Questions that the core asks, and the answers it gets within a tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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

    Rollback hooks end it at the first that agrees instead. `phase` is what the payload carries. Gates of our
    own are never called, nor are those that somebody has `opened`, by name.
    """

    type: HookType
    phase: Phase
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Analyse:
    """Run the rollout hooks and evaluate every metric."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask every metric provider whether it answers."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Ask whether who wants an act may do it: one of the verbs on the Canary is enough."""

    uid: str
    verbs: tuple[str, ...]


Need = HookCalls | Analyse | Probe | Permit


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether an act is permitted; `trouble` says why that can't be told."""

    allowed: bool
    trouble: str = ""


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
    permissions: Mapping[Permit, Permission] = field(default_factory=dict)

    def with_hooks(self, calls: HookCalls, answers: tuple[HookAnswer, ...]) -> Self:
        """The same facts and the answers of one round of hooks."""
        return replace(self, hook_answers={**self.hook_answers, calls: answers})

    def with_checks(self, checks: tuple[Check, ...]) -> Self:
        """The same facts and the checks of an analysis pass."""
        return replace(self, checks=checks)

    def with_probe(self, faults: tuple[str, ...]) -> Self:
        """The same facts and what is wrong with the metric providers; nothing when all answer."""
        return replace(self, provider_faults=faults)

    def with_permission(self, asked: Permit, permission: Permission) -> Self:
        """The same facts and whether somebody may do something."""
        return replace(self, permissions={**self.permissions, asked: permission})
