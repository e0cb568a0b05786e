r"""The JSONPath subset of printer columns: members, indexes, wildcards and equality filters.

`.status.conditions[?(@.type=="Ready")].status`, `.spec.rules[0].host`, `.metadata.annotations.a\.b`,
`.spec.list[*].name`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_TOKEN = re.compile(
    r"""
    \.\.(?P<deep>[\w$-]+) |
    \.(?P<name>(?:[^.\[\]\\]|\\.)+) |
    \[(?P<index>-?\d+)\] |
    \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\] |
    (?P<all>\[\*\]) |
    \[\?\(\s*@(?P<left>[^=!<>\s)]*)\s*(?:(?P<operator>==|!=)\s*(?P<right>"[^"]*"|'[^']*'|[^)\s]+)\s*)?\)\]
    """,
    re.VERBOSE,
)


class PathError(ValueError):
    """The text is not a path of the supported subset."""


def compile_path(text: str) -> Callable[[Any], list[Any]]:
    """Return a function from an object to the values that the path finds.

    Raises:
        PathError: the path uses something else than the subset above.
    """
    steps = tuple(_steps(text.strip().removeprefix("{").removesuffix("}").removeprefix("$")))

    def find(obj: Any) -> list[Any]:
        values = [obj]
        for step in steps:
            values = [item for value in values for item in step(value)]
        return values

    return find


def _steps(text: str) -> Sequence[Step]:
    steps, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise PathError(f"cannot read {text[position:]!r} in path {text!r}")
        steps.append(_step(match))
        position = match.end()
    return steps


def _step(match: re.Match[str]) -> Step:
    if match["all"]:
        return _every
    if match["name"] == "*":
        return _every
    if match["index"] is not None:
        return _at(int(match["index"]))
    if match["left"] is not None:
        return _filter(match["left"], match["operator"], match["right"])
    if match["deep"] is not None:
        return _deep(match["deep"])
    key = match["key"] if match["key"] is not None else re.sub(r"\\(.)", r"\1", match["name"])
    return _named(key)


def _named(key: str) -> Step:
    return lambda value: [value[key]] if isinstance(value, dict) and key in value else []


def _every(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else []


def _at(index: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        fits = isinstance(value, list) and -len(value) <= index < len(value)
        return [value[index]] if fits else []

    return step


def _deep(key: str) -> Step:
    def step(value: Any) -> Iterable[Any]:
        if isinstance(value, dict) and key in value:
            yield value[key]
        for item in _every(value):
            yield from step(item)

    return step


def _filter(left: str, operator: str | None, right: str | None) -> Step:
    find = compile_path(left)
    wanted = _literal(right) if right is not None else None

    def keep(item: Any) -> bool:
        found = find(item)
        if operator is None:
            return bool(found)
        return bool(found) and (found[0] == wanted) is (operator == "==")

    return lambda value: [item for item in _every(value) if keep(item)]


def _literal(text: str) -> Any:
    if text[:1] in {"'", '"'}:
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text
