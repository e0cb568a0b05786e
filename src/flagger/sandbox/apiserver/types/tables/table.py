"""Message → columns, and the table of any list of built-in objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from flagger.sandbox.apiserver.types.tables.base import AGE, NAME, Column, Object, table

COLUMNS: Mapping[str, Sequence[Column]] = {}
DEFAULT = (NAME, AGE)


def built_in(message: str, objects: Iterable[Object], now: datetime) -> Object:
    """Return `columnDefinitions` and rows for objects of a built-in type."""
    return table(COLUMNS.get(message, DEFAULT), objects, now)
