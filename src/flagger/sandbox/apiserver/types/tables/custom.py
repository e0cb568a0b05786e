"""Columns that a CustomResourceDefinition declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.jsonpath import PathError, compile_path
from flagger.sandbox.apiserver.types.tables.base import Cell, Column, parse_time, since


def column(declared: Mapping[str, Any]) -> Column:
    """Return a printer column as a column of the table."""
    path, kind = declared["jsonPath"], declared["type"]
    return Column(
        declared["name"],
        _cell(path, SHOWN.get(kind, _text)),
        kind,
        declared.get("priority", 0),
        declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        declared.get("format", ""),
    )


def _cell(path: str, show: Callable[[Any, datetime], Any]) -> Cell:
    try:
        find = compile_path(path)
    except PathError:
        return lambda _obj, _now: None

    def cell(obj: dict[str, Any], now: datetime) -> Any:
        found = find(obj)
        return show(found[0], now) if found and found[0] is not None else None

    return cell


def _text(value: Any, _now: datetime) -> Any:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _integer(value: Any, _now: datetime) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any, _now: datetime) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any, _now: datetime) -> Any:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> Any:
    return since(value, now) if parse_time(value) is not None else "<invalid>"


SHOWN: Mapping[str, Callable[[Any, datetime], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
"""Type of a column → how its value is shown; a value of another type is null."""
