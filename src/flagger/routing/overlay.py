"""Lays the fields that we own over a live object, so that what others put there stays. Pure."""

from __future__ import annotations

from typing import Any

from flagger.kube.objects import Object


def overlay(live: Any, desired: Any) -> Any:
    """`live` with every field of `desired`; a None in `desired` takes the field away.

    Lists of objects are laid over element by element while their lengths agree; any other list is replaced.
    """
    match live, desired:
        case dict(), dict():
            return _objects(live, desired)
        case list(), list() if _alike(live, desired):
            return [overlay(before, after) for before, after in zip(live, desired, strict=True)]
        case _, dict():
            return {key: overlay(None, value) for key, value in desired.items() if value is not None}
        case _, list():
            return [overlay(None, value) for value in desired]
        case _:
            return desired


def _objects(live: Object, desired: Object) -> Object:
    merged = {key: value for key, value in live.items() if key not in desired}
    for key, value in desired.items():
        if value is not None:
            merged[key] = overlay(live.get(key), value)
    return merged


def _alike(live: list[Any], desired: list[Any]) -> bool:
    return len(live) == len(desired) and all(isinstance(item, dict) for item in (*live, *desired))
