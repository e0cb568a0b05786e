"""Weight arithmetic of the weighted canary, in percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TOTAL = 100


@dataclass(frozen=True, slots=True)
class Ladder:
    """The canary weights of a run: equal steps, or rungs.

    The last equal step may pass `top` but never 100; `top` is the weight at which a run is promoted.
    """

    top: int
    step: int = 0
    rungs: Sequence[int] = ()

    def next(self, weight: int) -> int:
        """The weight after `weight`; a weight between two rungs climbs to the next higher one."""
        if self.step > 0:
            return min(TOTAL, weight + self.step)
        return min(TOTAL, next((rung for rung in self.rungs if rung > weight), TOTAL))


def step_home(canary: int, step: int) -> int:
    """The canary weight after the primary took `step` percent back; `step` 0 takes everything."""
    return max(0, canary - step) if step > 0 else 0
