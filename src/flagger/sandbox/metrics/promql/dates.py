"""Functions that read a value as seconds since the epoch and tell a part of its UTC date."""

import calendar
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _part(read: Callable[[datetime], int]) -> Callable[[float], float]:
    def call(seconds: float) -> float:
        try:
            return float(read(_EPOCH + timedelta(seconds=int(seconds))))
        except (OverflowError, ValueError):  # outside the years 1 to 9999, or not a number
            return math.nan

    return call


PARTS: Mapping[str, Callable[[float], float]] = {
    "day_of_month": _part(lambda date: date.day),
    "day_of_week": _part(lambda date: date.isoweekday() % 7),
    "day_of_year": _part(lambda date: date.timetuple().tm_yday),
    "days_in_month": _part(lambda date: calendar.monthrange(date.year, date.month)[1]),
    "hour": _part(lambda date: date.hour),
    "minute": _part(lambda date: date.minute),
    "month": _part(lambda date: date.month),
    "year": _part(lambda date: date.year),
}
