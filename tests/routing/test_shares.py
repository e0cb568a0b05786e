"""Weights as shares, and shares as weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.rollout.state import Split
from flagger.routing.shares import divided, share_of

numbers = st.lists(st.integers(0, 1000), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("primary", "candidate", "share"),
    [([70], [30], 30), ([2], [1], 33), ([50, 25], [25], 25), ([0], [0], 0), ([0], [7], 100)],
)
def test_share(primary: list[int], candidate: list[int], share: int) -> None:
    """The candidate's part in percent, whatever the weights add up to."""
    assert share_of(primary, candidate) == share


@pytest.mark.parametrize(
    ("pool", "split", "primary", "candidate", "weights"),
    [
        pytest.param(100, Split(30), [1], [0], (70, 30), id="in percent"),
        pytest.param(7, Split(10), [7], [0], (6, 1), id="a part that rounds to nothing is 1"),
        pytest.param(7, Split(99), [7], [0], (1, 6), id="and the primary keeps as much"),
        pytest.param(1, Split(10), [1], [0], (1, 0), id="one can't be divided"),
        pytest.param(0, Split(50), [0], [0], (0, 0), id="nothing to divide"),
        pytest.param(100, Split(50), [2, 1], [0, 0], (33, 17, 25, 25), id="proportions within a side"),
    ],
)
def test_divided(
    pool: int, split: Split, primary: list[int], candidate: list[int], weights: tuple[int, ...]
) -> None:
    """Whole weights that come as near to the split as they can."""
    assert divided(pool, split, primary, candidate) == weights


@given(st.integers(0, 1000), st.integers(0, 100), numbers, numbers)
def test_nothing_is_lost(pool: int, canary: int, primary: list[int], candidate: list[int]) -> None:
    """The weights add up to what was divided, none is negative, and at either end one side has all."""
    weights = divided(pool, Split(canary), primary, candidate)

    assert (len(weights), sum(weights)) == (len(primary) + len(candidate), pool)
    assert min(weights) >= 0
    if canary in (0, 100):
        assert sum(weights[: len(primary)]) == (pool if canary == 0 else 0)
