"""Durations, times, percentages and numbers as users write them and as messages show them.

Durations and numbers follow Go's syntax and rendering: that is what manifests hold and what people grep for.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek letter mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([-+]?)((?:{_PART.pattern})+)")
_LIMIT = 2**63  # Go counts nanoseconds in a signed 64-bit integer


def parse_duration(text: str) -> timedelta:
    """Return the duration written as `1m30s`, `1.5h`, `-500ms` or `0` (Go's time.ParseDuration).

    Units are h, m, s, ms, us (µs) and ns; there is no day. What is finer than a microsecond is cut off.

    Raises:
        ValueError: the text is no such duration, or longer than about 292 years.
    """
    if text in {"0", "+0", "-0"}:
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 1m30s or 500ms")
    total = sum(int(Decimal(part[1]) * _NANOSECONDS[part[2]]) for part in _PART.finditer(match[2]))
    if total >= _LIMIT:
        raise ValueError(f"{text!r} is longer than 292 years")
    length = timedelta(microseconds=total // 1000)
    return -length if match[1] == "-" else length


def duration_or(text: str, default: timedelta) -> timedelta:
    """Return the parsed duration, or `default` when the text is empty or no duration."""
    try:
        return parse_duration(text)
    except ValueError:
        return default


def format_duration(length: timedelta) -> str:
    """Return the duration as Go prints it: `500ms`, `1.5s`, `1m0s`, `1h0m0s`, `0s`."""
    micros = length // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    if micros == 0:
        return "0s"
    if micros < 1000:
        return f"{sign}{micros}µs"
    if micros < 1_000_000:
        return f"{sign}{_decimal(micros, 1000)}ms"
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, 1_000_000)}s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    return f"{whole}.{part:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")


def seconds(count: int) -> timedelta:
    """Return a whole number of seconds, cut to what 32 bits hold, as the field of a manifest does."""
    return timedelta(seconds=max(-(2**31), min(count, 2**31 - 1)))


def format_time(moment: datetime) -> str:
    """Return an aware time as Kubernetes writes it: UTC, whole seconds, `2030-01-05T10:12:30Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_number(value: float) -> str:
    """Return the shortest form that reads back as the same number, as Go's `%v` prints it.

    `99` for 99.0, `0.5`, `1e+06` from a million on, `1e-05` below a ten-thousandth.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    number = Decimal(repr(float(value)))
    exponent = number.adjusted() if number else 0
    if -4 <= exponent < 6:
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{fraction}e{exponent:+03d}"


def format_fixed(value: float, digits: int = 2) -> str:
    """Return the number with a fixed number of decimals, as Go's `%.2f` prints it."""
    return f"{value:.{digits}f}" if math.isfinite(value) else format_number(value)


def parse_percent(text: str) -> float:
    """Return 25.0 for `25%`.

    Raises:
        ValueError: the text is not a number followed by `%`.
    """
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?%", text) is None:
        raise ValueError(f"{text!r} is not a percentage such as 25%")
    return float(text[:-1])


def share_of(value: int | str, total: int, *, round_up: bool) -> int:
    """Return an int-or-percentage (`1`, `"25%"`) as a count out of `total`, rounded as asked.

    Raises:
        ValueError: a text that is neither a whole number nor a percentage.
    """
    if isinstance(value, int):
        return value
    if re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    exact = parse_percent(value) * total / 100
    return math.ceil(exact) if round_up else math.floor(exact)
