"""Columns of a Table, and the texts that many cells share.

The form is that of `meta.k8s.io/v1` Table; names and cells follow what a real server prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]
Cell = Callable[[Object, datetime], Any]

NONE = "<none>"
UNKNOWN = "<unknown>"
NAME_TEXT = "Name of the object, unique within its namespace."
AGE_TEXT = "Time since the object was created."


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `priority` 1 shows it with `-o wide` only."""

    name: str
    cell: Cell
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str = ""

    @property
    def definition(self) -> Object:
        """The column as the Table describes it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description or f"{self.name} of the object.",
            "priority": self.priority,
        }


def table(columns: Sequence[Column], objects: Iterable[Object], now: datetime) -> Object:
    """Return `columnDefinitions`, and a row with `cells` per object."""
    rows = [{"cells": [column.cell(obj, now) for column in columns]} for obj in objects]
    return {"columnDefinitions": [column.definition for column in columns], "rows": rows}


def wide(name: str, cell: Cell, description: str = "") -> Column:
    """A column that is shown with `-o wide` only."""
    return Column(name, cell, priority=1, description=description)


def at(*path: str, default: Any = "") -> Cell:
    """A cell that holds the member at a path."""

    def cell(obj: Object, _now: datetime) -> Any:
        value = member(obj, *path)
        return default if value is None else value

    return cell


def member(obj: Any, *path: str) -> Any:
    """Return the member at a path, or None."""
    for part in path:
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return obj


def parse_time(text: Any) -> datetime | None:
    """Return a time of the API, or None if there is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def since(text: Any, now: datetime) -> str:
    """Return how long ago a time was, `<unknown>` without one."""
    moment = parse_time(text)
    return UNKNOWN if moment is None else duration(now - moment)


def duration(span: timedelta) -> str:
    """Return a duration the short way: `45s`, `3m20s`, `5h`, `12d`."""
    seconds = int(span.total_seconds())
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def _age(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def labels(values: Mapping[str, str] | None) -> str:
    """Return labels as a selector prints them, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted((values or {}).items())) or NONE


def selector(value: Mapping[str, Any] | None) -> str:
    """Return a LabelSelector in its text form."""
    value = value or {}
    terms = [f"{key}={item}" for key, item in (value.get("matchLabels") or {}).items()]
    terms += [_requirement(item) for item in value.get("matchExpressions") or ()]
    return ",".join(sorted(terms)) or NONE


def _requirement(term: Mapping[str, Any]) -> str:
    key, operator = term.get("key", ""), term.get("operator", "")
    values = ",".join(sorted(term.get("values") or ()))
    if operator == "Exists":
        return str(key)
    return f"!{key}" if operator == "DoesNotExist" else f"{key} {str(operator).lower()} ({values})"


NAME = Column("Name", at("metadata", "name"), description=NAME_TEXT, format="name")
AGE = Column("Age", _age, description=AGE_TEXT)
