"""What a benchmark finds: figures with their unit, their target and how they were measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Unavailable(Exception):  # noqa: N818 - not an error
    """A benchmark can't run on this machine; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most `limit`, or at least that."""

    limit: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value is on the right side of the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {shown(self.limit)}"


def at_most(limit: float) -> Target:
    """A ceiling."""
    return Target(limit)


def at_least(limit: float) -> Target:
    """A floor."""
    return Target(limit, at_least=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity: one value for each run, and one line on how it was measured."""

    name: str
    unit: str
    values: tuple[float, ...]
    target: Target | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """What counts against the target."""
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        """Whether the target was missed."""
        return self.target is not None and not self.target.is_met(self.median)

    @property
    def span(self) -> str:
        """The least and the greatest value; empty for a single one."""
        if len(self.values) < 2:
            return ""
        return f"{shown(min(self.values))} – {shown(max(self.values))}"


def shown(value: float) -> str:
    """A number with as many digits as matter."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie: the nearest one, not interpolated."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def repeated(action: Callable[[], float], times: int) -> tuple[float, ...]:
    """The results of doing something several times."""
    return tuple(action() for _ in range(times))
