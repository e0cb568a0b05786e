"""Which hashes of upstream are replaced, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from flagger.api.phases import Phase
from flagger.rollout.adoption import adopt, is_upstreams
from flagger.rollout.facts import Facts
from tests.rollout.simulation import World

UPSTREAM = {"last_applied_spec": "76b9845d5f", "last_promoted_spec": "5c8d"}


def a_world(phase: Phase = Phase.SUCCEEDED, **status: Any) -> World:
    """An idle Canary with upstream's hashes, whose primary runs the target's revision."""
    world = World({"stepWeight": 50})
    world.status = with_fields(world.status, phase=phase, **UPSTREAM, **status)
    return world


@pytest.mark.parametrize(
    ("revision", "theirs"),
    [
        ("76b9845d5f", True),
        ("4", True),
        ("v1-5c8d445566", False),
        ("", False),
        ("76b9845d5f4", False),
        ("123", False),
    ],
)
def test_whose_hash_it_is(revision: str, theirs: bool) -> None:
    """By its form alone."""
    assert is_upstreams(revision) is theirs


@pytest.mark.parametrize(
    ("phase", "applied", "promoted"),
    [
        pytest.param(Phase.INITIALIZED, "A", "A", id="initialized"),
        pytest.param(Phase.SUCCEEDED, "A", "A", id="succeeded"),
        pytest.param(Phase.FAILED, "A", "A", id="failed"),
        pytest.param(Phase.PROMOTING, "A", "5c8d", id="promoting"),
        pytest.param(Phase.FINALISING, "A", "5c8d", id="finalising"),
    ],
)
def test_phases(phase: Phase, applied: str, promoted: str) -> None:
    """Phase, counters and times stay; what is still being promoted is not called promoted."""
    world = a_world(phase, failed_checks=2)

    verdict = adopt(world.snapshot(), Facts())

    assert verdict is not None
    assert verdict.effects == ()
    assert verdict.status == with_fields(world.status, last_applied_spec=applied, last_promoted_spec=promoted)


@pytest.mark.parametrize(
    "phase", [Phase.PROGRESSING, Phase.WAITING, Phase.WAITING_PROMOTION, Phase.INITIALIZING]
)
def test_runs_are_not_adopted(phase: Phase) -> None:
    """What of the run was proven is not known."""
    assert adopt(a_world(phase).snapshot(), Facts()) is None


def test_another_revision_is_not_adopted() -> None:
    """The primary runs something else than the target holds."""
    world = a_world()
    world.given({"target": "B"})

    assert adopt(world.snapshot(), Facts()) is None
    assert world.tick().phase == "Progressing"


@pytest.mark.parametrize(
    ("before", "now", "adopted"),
    [
        pytest.param({"configmap/a": "1"}, {"configmap/a": "1"}, True, id="the same"),
        pytest.param({"configmap/a": "1"}, {"configmap/a": "2"}, False, id="changed"),
        pytest.param(
            {"configmap/a": "1", "secret/b": "1"}, {"configmap/a": "1"}, True, id="no longer tracked"
        ),
        pytest.param(None, {"configmap/a": "1"}, True, id="not tracked before"),
        pytest.param({"configmap/a": "1"}, None, True, id="not tracked now"),
    ],
)
def test_configs(before: dict[str, str] | None, now: dict[str, str] | None, adopted: bool) -> None:
    """What both track must be the same; afterwards nothing looks like a change."""
    world = a_world(tracked_configs=before)
    seen = replace(world.snapshot(), configs=now)

    verdict = adopt(seen, Facts())

    assert (verdict is not None) is adopted
    if verdict is not None:
        assert verdict.status.tracked_configs == (before if now is None else now)
