"""Whole releases, tick by tick: phases, weights, counters, events and alerts as upstream has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rollout.simulation import Tick, World

TIMELINES = yaml.safe_load(Path(__file__).with_name("timelines.yaml").read_text())


@pytest.mark.parametrize("timeline", TIMELINES, ids=lambda timeline: timeline["id"])
def test_release_takes_its_course(timeline: dict[str, Any]) -> None:
    """Every tick leaves the state, and says and asks, what the table says."""
    world = World(
        timeline["analysis"],
        provider=timeline.get("provider", "istio"),
        initialized=not timeline.get("new"),
    )

    for number, expected in enumerate(timeline["ticks"], start=1):
        world.given(expected.get("given", {}))
        tick = world.tick()

        assert row_of(tick) == expected["row"], f"tick {number}"
        assert tick.said == tuple(expected.get("said", ())), f"tick {number}"
        assert tick.alerts == tuple(expected.get("alerts", ())), f"tick {number}"
        assert "asked" not in expected or list(tick.asked) == expected["asked"], f"tick {number}"
    if "hashes" in timeline:
        assert f"{world.status.last_applied_spec}/{world.status.last_promoted_spec}" == timeline["hashes"]


def row_of(tick: Tick) -> str:
    """A tick in the notation of the table."""
    split = tick.split.replace(" ", "")
    return f"{tick.phase} {split} {tick.weight} {tick.iterations} {tick.failed} {tick.target}"
