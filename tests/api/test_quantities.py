"""Durations, times, shares and numbers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.api.quantities import (
    duration_or,
    format_duration,
    format_fixed,
    format_number,
    format_time,
    parse_duration,
    parse_percent,
    seconds,
    share_of,
)

MICROSECOND = timedelta(microseconds=1)
LONGEST = timedelta(microseconds=2**63 // 1000)


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("0", timedelta(), "0s"),
        ("-0", timedelta(), "0s"),
        ("0s", timedelta(), "0s"),
        ("500ms", timedelta(milliseconds=500), "500ms"),
        ("1500ms", timedelta(seconds=1.5), "1.5s"),
        ("1.5s", timedelta(seconds=1.5), "1.5s"),
        (".5s", timedelta(seconds=0.5), "500ms"),
        ("1.s", timedelta(seconds=1), "1s"),
        ("60s", timedelta(minutes=1), "1m0s"),
        ("1m30s", timedelta(seconds=90), "1m30s"),
        ("1.5m", timedelta(seconds=90), "1m30s"),
        ("1.5h", timedelta(minutes=90), "1h30m0s"),
        ("1h", timedelta(hours=1), "1h0m0s"),
        ("100h", timedelta(hours=100), "100h0m0s"),
        ("-1m30s", timedelta(seconds=-90), "-1m30s"),
        ("+2s", timedelta(seconds=2), "2s"),
        ("30s1m", timedelta(seconds=90), "1m30s"),
        ("1us", MICROSECOND, "1µs"),
        ("1µs", MICROSECOND, "1µs"),
        ("1μs", MICROSECOND, "1µs"),
        ("1234us", 1234 * MICROSECOND, "1.234ms"),
        ("1h0m0.000001s", timedelta(hours=1) + MICROSECOND, "1h0m0.000001s"),
        ("1999ns", MICROSECOND, "1µs"),
    ],
)
def test_reads_and_shows_durations(text: str, length: timedelta, shown: str) -> None:
    """A duration means what Go takes it for, and is shown as Go shows it."""
    assert parse_duration(text) == length
    assert format_duration(length) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5minutes",
        "1d",
        "10 s",
        " 1s",
        "1s ",
        "s",
        ".s",
        "1m30",
        "--1s",
        "1e3s",
        "١s",
        "1S",
        "2562048h",
    ],
)
def test_refuses_what_is_no_duration(text: str) -> None:
    """What Go does not read is refused with the text in the message, or has a default."""
    with pytest.raises(ValueError, match=r"duration|longer") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)
    assert duration_or(text, timedelta(seconds=7)) == timedelta(seconds=7)


@given(st.timedeltas(min_value=-LONGEST + MICROSECOND, max_value=LONGEST - MICROSECOND))
def test_durations_survive_a_round_trip(length: timedelta) -> None:
    """Every duration Go can hold, to the microsecond, is read back as it was shown."""
    assert parse_duration(format_duration(length)) == length


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """Nothing a user can type raises anything but ValueError."""
    try:
        parse_duration(text)
    except ValueError:
        assert duration_or(text, MICROSECOND) == MICROSECOND


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (99.0, "99"),
        (99.5, "99.5"),
        (0, "0"),
        (-0.25, "-0.25"),
        (100000.0, "100000"),
        (123456.7, "123456.7"),
        (1e6, "1e+06"),
        (1234567.8, "1.2345678e+06"),
        (-2.5e21, "-2.5e+21"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1.5e-7, "1.5e-07"),
        (1e100, "1e+100"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_shows_numbers_in_the_shortest_form(value: float, shown: str) -> None:
    """Bounds in messages look as upstream prints them."""
    assert format_number(value) == shown


@given(st.floats(allow_nan=False))
def test_the_shortest_form_is_exact(value: float) -> None:
    """No digit that matters is left out."""
    assert float(format_number(value)) == value


def test_shows_measured_values_with_two_decimals() -> None:
    """Values in messages have a fixed number of decimals; infinity has none."""
    assert [format_fixed(97.2), format_fixed(3.14159, 1), format_fixed(float("inf"))] == [
        "97.20",
        "3.1",
        "+Inf",
    ]


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [
        (3, 10, 3, 3),
        ("3", 10, 3, 3),
        ("25%", 10, 3, 2),
        ("0%", 10, 0, 0),
        ("100%", 7, 7, 7),
        ("50%", 1, 1, 0),
    ],
)
def test_takes_a_share(value: int | str, total: int, up: int, down: int) -> None:
    """A percentage is rounded the way the caller asks for; a number is itself."""
    assert share_of(value, total, round_up=True) == up
    assert share_of(value, total, round_up=False) == down


@pytest.mark.parametrize("text", ["", "%", "x%", "25", "-5%", "1.%"])
def test_refuses_what_is_no_percentage(text: str) -> None:
    """A percentage is a number and a sign."""
    with pytest.raises(ValueError, match="percentage"):
        parse_percent(text)


def test_times_are_utc_and_whole_seconds() -> None:
    """Times are written as the API server compares them."""
    moment = datetime(2030, 1, 5, 12, 12, 30, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2030-01-05T10:12:30Z"
    assert format_time(datetime(2030, 1, 5, tzinfo=UTC)) == "2030-01-05T00:00:00Z"


def test_seconds_stay_within_what_a_manifest_can_hold() -> None:
    """An absurd number of seconds is a very long time, not an overflow."""
    assert [seconds(90), seconds(-1)] == [timedelta(seconds=90), timedelta(seconds=-1)]
    assert seconds(10**30) == timedelta(seconds=2**31 - 1)
