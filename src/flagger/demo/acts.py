"""What is played, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flagger.demo.figures import Both
from flagger.demo.scene import NAME, Rules
from flagger.demo.story import State
from flagger.demo.traffic import Tally, Users

OK, NOT_STARTED, WRONG_OUTCOME = 0, 1, 3
"""Exit codes."""

FIRST, GOOD, BAD, NEXT = "6.7.0", "6.7.1", "6.8.0", "6.7.2"
"""Versions: what runs at the beginning, what is released, what may be released afterwards."""

_SLACK = 8.0  # seconds an act may take beyond its ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A release and how it must end, within so many ticks of the operator."""

    number: int
    kind: str
    before: str
    tag: str
    fail_every: int = 0
    outcome: str
    verb: str
    ticks: int

    def within(self, interval: float) -> float:
        """The hard stop in seconds."""
        return self.ticks * interval + _SLACK


FAIL_EVERY = 4
"""How bad the bad release is: every so many requests fail."""

ACTS: Sequence[Act] = (
    Act(
        number=1,
        kind="good",
        before=FIRST,
        tag=GOOD,
        outcome="Succeeded",
        verb="promoted",
        ticks=11,
    ),
    Act(
        number=2,
        kind="bad",
        before=GOOD,
        tag=BAD,
        fail_every=FAIL_EVERY,
        outcome="Failed",
        verb="rolled back",
        ticks=6,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What is going to be played, by which rules. `interval` is as in a manifest, `budget` in seconds."""

    engine: str
    interval: str
    rules: Rules
    budget: float


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen at one moment of an act."""

    state: State
    users: Users
    figures: Both


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an act went; times in seconds.

    `phase` is the Canary's at the end. `took` is from the push to the end, `noticed` to the operator's first
    move, `detected` from the first failed request to the first failed check, `exposed` to the end.
    """

    act: Act
    phase: str
    took: float
    noticed: float
    detected: float | None
    exposed: float | None
    weights: Sequence[int]
    failed_checks: int
    users: Tally
    rate: float
    figures: Both
    why: str

    @property
    def right(self) -> bool:
        """Did it end as it must, without an error that the primary would not have made?"""
        return self.phase == self.act.outcome and not self.problem

    @property
    def problem(self) -> str:
        """What users saw fail although nothing told it to; empty when that was nothing."""
        causes = dict(self.users.problems)
        if not self.act.fail_every and self.users.failed_by_order:
            causes["faults of a good release"] = self.users.failed_by_order
        return ", ".join(f"{count} x {cause}" for cause, count in sorted(causes.items()))

    @property
    def everybody(self) -> float:
        """About how many requests would have failed if all had gone to the bad release meanwhile."""
        return self.rate * (self.exposed or 0.0) / max(1, self.act.fail_every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the demo ended; `problem` is empty when all is well, `kept` says that everything still runs."""

    code: int
    problem: str = ""
    took: float = 0.0
    users: Tally | None = None
    detected: float | None = None
    state_dir: Path
    kept: bool = False


def images(act: Act) -> tuple[str, str]:
    """The versions before and after."""
    return f"{NAME}:{act.before}", f"{NAME}:{act.tag}"


def fault(act: Act) -> str:
    """How bad the release is, in words; empty when it isn't."""
    words = {1: "every request fails", 2: "every second request fails", 4: "every fourth request fails"}
    return words.get(act.fail_every, f"one of {act.fail_every} requests fails") if act.fail_every else ""
