"""Our fields over a live object."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.routing.overlay import overlay


@pytest.mark.parametrize(
    ("live", "desired", "result"),
    [
        pytest.param({"a": 1, "theirs": 2}, {"a": 3}, {"a": 3, "theirs": 2}, id="theirs stays"),
        pytest.param(
            {"a": {"theirs": 1}}, {"a": {"b": 2}}, {"a": {"theirs": 1, "b": 2}}, id="theirs within stays"
        ),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="None takes away"),
        pytest.param({}, {"a": None, "b": {"c": None}}, {"b": {}}, id="None of nothing"),
        pytest.param({"a": [1, 2]}, {"a": [2]}, {"a": [2]}, id="plain lists are ours"),
        pytest.param(
            {"a": [{"w": 1, "theirs": 1}, {"w": 2}]},
            {"a": [{"w": 3}, {"w": 4}]},
            {"a": [{"w": 3, "theirs": 1}, {"w": 4}]},
            id="lists of objects element by element",
        ),
        pytest.param(
            {"a": [{"x": 1}]},
            {"a": [{"y": None}, {"y": 2}]},
            {"a": [{}, {"y": 2}]},
            id="lists of other length",
        ),
        pytest.param({"a": [1]}, {"a": [{"b": None}]}, {"a": [{}]}, id="other elements"),
        pytest.param({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="another type"),
        pytest.param(None, {"a": [{"b": None, "c": 1}]}, {"a": [{"c": 1}]}, id="nothing there yet"),
    ],
)
def test_overlay(live: Any, desired: Any, result: Any) -> None:
    """What we mention is ours, what we don't mention is theirs."""
    assert overlay(live, desired) == result


def test_overlay_shares_nothing_that_changes() -> None:
    """The live object belongs to the caches and stays as it is."""
    live = {"a": [{"b": 1}], "c": {"d": 1}}

    overlay(live, {"a": [{"b": 2}], "c": {"d": 2}})

    assert live == {"a": [{"b": 1}], "c": {"d": 1}}
