"""Weights of several destinations: what share of them a side has, and how a share is given to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from flagger.rollout.state import TOTAL, Split


def share_of(primary: Sequence[int], candidate: Sequence[int]) -> int:
    """The candidate's share in percent; 0 where nobody has any weight."""
    total = sum(primary) + sum(candidate)
    return round(TOTAL * sum(candidate) / total) if total else 0


def divided(pool: int, split: Split, primary: Sequence[int], candidate: Sequence[int]) -> tuple[int, ...]:
    """`pool` divided as a split says, first the primary's weights, then the candidate's.

    Within a side the weights keep their proportions. A side that shall have a part gets at least 1, if the
    pool has that much.
    """
    part = round(pool * split.canary / TOTAL)
    part = max(part, 1 if split.canary else 0)
    part = max(0, min(part, pool - (1 if split.primary else 0)))
    return (*_shared(pool - part, primary), *_shared(part, candidate))


def _shared(total: int, parts: Sequence[int]) -> tuple[int, ...]:
    """`total` in the proportions of `parts`, or evenly where they are all 0; the first get what is left over."""
    weights = parts if any(parts) else [1] * len(parts)
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    left = total - sum(shares)
    by_remainder = sorted(range(len(shares)), key=lambda index: -(total * weights[index] % whole))
    for index in by_remainder[:left]:
        shares[index] += 1
    return tuple(shares)
