"""Answers in the JSON of Prometheus' HTTP API, and the spellings its parameters may have."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.numbers import format_plain, format_value, parse_float
from flagger.sandbox.metrics.promql.engine import Matrix
from flagger.sandbox.metrics.promql.errors import BadQueryError
from flagger.sandbox.metrics.promql.values import Range, Value, ValueKind
from flagger.sandbox.metrics.series import Window

Data = dict[str, Any]

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNITS_MS["y"] = 365 * _UNITS_MS["d"]
_DURATION = re.compile(r"(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?")
_INT64 = 2**63


def instant_data(kind: ValueKind, value: Value, ms: int) -> Data:
    """The `data` of an instant query that gave `value` at `ms`."""
    match value:
        case float():
            result: Any = [seconds(ms), format_plain(value)]
        case str():
            result = [seconds(ms), value]
        case Range(rows):
            result = [{"metric": dict(labels), "values": _points(window)} for labels, window in rows]
        case _:
            result = [
                {"metric": dict(labels), "value": [seconds(ms), format_value(number)]}
                for labels, number in value
            ]
    return {"resultType": kind.value, "result": result}


def range_data(matrix: Matrix) -> Data:
    """The `data` of a range query."""
    result = [
        {"metric": dict(labels), "values": [[seconds(ms), format_value(value)] for ms, value in points]}
        for labels, points in sorted(matrix.items())
    ]
    return {"resultType": ValueKind.MATRIX.value, "result": result}


def label_maps(all_labels: list[Labels]) -> list[dict[str, str]]:
    """Label sets as JSON objects, sorted."""
    return [dict(labels) for labels in sorted(all_labels)]


def seconds(ms: int) -> float:
    """A time in seconds; whole ones without a fraction, as Prometheus writes them."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def _points(window: Window) -> list[list[Any]]:
    return [[seconds(ms), format_value(value)] for ms, value in zip(window.times, window.values, strict=True)]


def time_parameter(params: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A point in time (seconds since the epoch, or RFC 3339) in ms.

    Raises:
        BadQueryError: it is neither, or missing without a default.
    """
    text = params.get(name, "")
    if not text and default is not None:
        return default
    ms = _time(text)
    if ms is None:
        which = "" if default is None else f"Invalid time value for '{name}': "
        raise BadQueryError(f'invalid parameter "{name}": {which}cannot parse "{text}" to a valid timestamp')
    return ms


def _time(text: str) -> int | None:
    number = parse_float(text)
    if number is not None:
        return round(number * 1000) if abs(number) * 1000 < _INT64 else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def duration_parameter(params: Mapping[str, str], name: str) -> int:
    """A duration (seconds, or as in PromQL) in ms.

    Raises:
        BadQueryError: it is neither.
    """
    text = params.get(name, "")
    number = parse_float(text)
    if number is not None and math.isfinite(number) and abs(number) * 1000 < _INT64:
        return int(number * 1000)
    if text and number is None and _DURATION.fullmatch(text):
        return sum(int(count) * _UNITS_MS[unit] for count, unit in re.findall(r"(\d+)([a-z]+)", text))
    raise BadQueryError(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration')
