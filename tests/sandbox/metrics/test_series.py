"""Series keep only changes, and yet give every sample back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.sandbox.metrics.series import STALE, Axis, Series, is_stale

LOOKBACK = 20
values_or_gaps = st.lists(
    st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.0, math.inf, math.nan])), max_size=40
)
Plain = list[tuple[int, float | None]]


def recorded(samples: list[float | None], step: int = 10) -> tuple[Series, Plain]:
    """A series scraped every `step` ms, and the same as a plain list; None where it was missing."""
    series = Series((("__name__", "a"),), Axis())
    plain: Plain = []
    for index, value in enumerate(samples, 1):
        sequence = series.axis.append(index * step)
        assert sequence is not None
        if value is None:
            series.close(sequence)
        else:
            series.record(sequence, value)
        plain.append((index * step, value))
    return series, plain


def same(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> bool:
    """Equal, with NaN equal to itself."""
    return repr(one) == repr(other)


@given(values_or_gaps, st.integers(-5, 420), st.integers(0, 420), st.integers(0, 200))
def test_gives_back_every_sample(samples: list[float | None], start: int, length: int, floor: int) -> None:
    """A window holds exactly the samples of its closed interval, also after old ones were forgotten."""
    series, plain = recorded(samples)
    series.axis.trim(floor)
    series.trim()

    window = series.window(start, start + length)

    there = [] if window is None else list(zip(window.times, window.values, strict=True))
    expected = [
        (ms, value)
        for ms, value in plain
        if value is not None and ms >= floor and start <= ms <= start + length
    ]
    assert same(there, expected)


@given(values_or_gaps, st.integers(-5, 420))
def test_newest_sample(samples: list[float | None], ms: int) -> None:
    """The newest sample is found unless it is too old, or the series was missing at the last scrape."""
    series, plain = recorded(samples)
    newest = next(((at, value) for at, value in reversed(plain) if at <= ms), None)

    found = series.at(ms, LOOKBACK)

    if newest is None or newest[1] is None or newest[0] < ms - LOOKBACK:
        assert found is None
    else:
        assert repr(found) == repr(newest)


def test_a_constant_series_costs_one_run() -> None:
    """Memory is for changes, not for samples."""
    series, _ = recorded([5.0] * 1000)

    assert series.runs == 1
    window = series.window(0, 10_000)
    assert window is not None
    assert len(window.times) == 1000


def test_an_ended_series_is_forgotten_in_time() -> None:
    """When its last sample has expired, nothing is left of a series that ended; a living one stays."""
    ended, _ = recorded([1.0, None, None])
    alive, _ = recorded([1.0, 1.0, 1.0])

    for series in (ended, alive):
        series.axis.trim(25)

    assert not ended.trim()
    assert alive.trim()


def test_own_nan_is_not_the_marker() -> None:
    """A NaN that a target exposes is a sample."""
    assert is_stale(STALE)
    assert not is_stale(math.nan)
    assert not is_stale(float("nan") * -1)


@pytest.mark.parametrize("ms", [5, 10])
def test_time_goes_forward(ms: int) -> None:
    """An axis refuses times that are not newer."""
    axis = Axis()
    axis.append(10)

    assert axis.append(ms) is None
    assert list(axis.times) == [10]
