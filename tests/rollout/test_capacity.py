"""Traffic follows capacity: the arithmetic, and what releases of autoscaled workloads do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from flagger.rollout import capacity
from flagger.rollout.decide import decide
from flagger.rollout.effects import SetSplit
from flagger.rollout.facts import Facts
from flagger.rollout.state import READY, Alert, Autoscaling, Decision, Readiness, WorkloadState
from tests.rollout.simulation import INTERVAL, LIMITS, Tick, World

STEPS = {"stepWeights": [20, 50]}
LOAD = 10  # pods
SCALED = Autoscaling(most=30)


def a_run(analysis: dict[str, Any] | None = None, *, load: int = LOAD, ticks: int = 0, **world: Any) -> World:
    """A World of autoscaled workloads, in which revision B has been under way for some ticks after its start."""
    made = World(analysis or STEPS, **world)
    made.autoscaled(load)
    made.given({"target": "B"})
    for _ in range(ticks + 1):
        made.tick()
    return made


def course(world: World, ticks: int) -> list[Tick]:
    """The next ticks."""
    return [world.tick() for _ in range(ticks)]


def splits(ticks: list[Tick]) -> list[str]:
    """What the ticks left."""
    return [tick.split for tick in ticks]


def texts(ticks: list[Tick]) -> list[str]:
    """What the ticks said."""
    return [text for tick in ticks for text in tick.said]


@pytest.mark.parametrize(
    ("side", "share", "need", "carries"),
    [
        pytest.param({"replicas": 10, "available": 10}, 100, 10, 100, id="the size before the run"),
        pytest.param({"replicas": 10, "available": 10}, 25, 3, 100, id="rounded up"),
        pytest.param({"replicas": 3, "available": 3, "autoscaling": SCALED}, 50, 5, 30, id="autoscaled"),
        pytest.param(
            {"replicas": 3, "available": 3, "autoscaling": Autoscaling(4)}, 100, 4, 30, id="up to its maximum"
        ),
        pytest.param(
            {"replicas": 4, "available": 4, "autoscaling": Autoscaling(4)}, 100, 4, 100, id="at its maximum"
        ),
        pytest.param({"replicas": 4, "available": 4}, 50, 4, 100, id="its owner made it smaller"),
        pytest.param({"replicas": 10, "available": 7}, 50, 5, 70, id="pods are missing"),
        pytest.param({"replicas": 0, "available": 0}, 50, 0, 100, id="parked: other rules wake it"),
    ],
)
def test_arithmetic(side: dict[str, Any], share: int, need: int, carries: int) -> None:
    """The yardstick is the primary's size before the run, which was 10."""
    seen = a_run(load=10).snapshot()
    state = WorkloadState(revision="B", readiness=READY, **side)

    assert capacity.needed(seen, state, share) == need
    assert capacity.carried(seen, state) == carries


def test_the_users_threshold_counts_here_too() -> None:
    """Who says that half of the pods are enough to be ready, is taken at their word."""
    seen = a_run({**STEPS, "canaryReadyThreshold": 50}).snapshot()
    assert seen.target is not None

    assert capacity.needed(seen, seen.target, 100) == 5


def test_an_ordinary_run_does_not_wait() -> None:
    """The target's autoscaler is a step ahead of the traffic, the primary's keeps its size; weights are as ever."""
    world = a_run()
    rows = []
    for _ in range(6):
        tick = world.tick()
        assert world.primary is not None
        rows.append(
            (tick.phase, tick.split, world.target.replicas, world.target.floor, world.primary.replicas)
        )

    assert rows == [
        ("Progressing", "80/20", 3, 5, 10),
        ("Progressing", "50/50", 5, 5, 10),
        ("Promoting", "50/50", 5, 5, 10),
        ("Finalising", "100/0", 5, 0, 10),
        ("Succeeded", "100/0", 0, 0, 10),
        ("Succeeded", "100/0", 0, 0, 10),
    ]


def test_a_canary_starts_with_the_pods_of_its_first_step() -> None:
    """Not with its autoscaler's minimum, which may be a small part of them."""
    assert a_run({"stepWeights": [50]}, load=20).target.replicas == 10


def test_a_step_waits_for_pods_and_says_so_once() -> None:
    """The analysis goes on meanwhile, and the wait is no failed check."""
    world = a_run(ticks=1)
    world.scalers_work = False
    waiting = course(world, 3)

    assert splits(waiting) == ["80/20"] * 3
    lack = "3 canary pods can carry 30%, the next step needs 5 for 50%"
    assert texts(waiting) == [f"W: Halt checkout.shop advancement waiting for capacity: {lack}"]
    assert (waiting[-1].failed, world.asked_checks) == (0, True)
    world.scalers_work = True
    assert world.tick().split == "50/50"


def test_a_bad_canary_is_taken_back_while_it_waits() -> None:
    """Checks count as ever."""
    world = a_run({**STEPS, "threshold": 1}, ticks=1)
    world.scalers_work = False
    world.tick()
    world.given({"checks": "fail"})
    world.tick()

    assert world.tick().phase == "Failed"


def test_the_wait_has_an_end() -> None:
    """Pods that don't come are as good as pods that don't get ready: the run is rolled back, and why is told."""
    world = a_run(ticks=1)
    world.scalers_work = False
    ticks = course(world, LIMITS.max_wait // INTERVAL + 1)

    assert [tick.phase for tick in ticks[-2:]] == ["Progressing", "Failed"]
    assert "progress deadline exceeded waiting for capacity: 3 canary pods can carry 30%" in ticks[-1].said[1]
    assert world.target.replicas == 0


def test_an_autoscaler_whose_minimum_is_taken_back_grows_with_its_load() -> None:
    """A quarter more than its pods are for makes it add some; so the weight rises in parts, up to the step."""
    world = a_run({"stepWeights": [10, 80]}, load=20)
    world.target.autoscaling = Autoscaling(most=30, contested=True)
    ticks = course(world, 10)

    assert [tick.weight for tick in ticks] == [10, 18, 25, 31, 43, 56, 75, 80, 80, 0]
    assert [tick.phase for tick in ticks[-2:]] == ["Promoting", "Finalising"]
    assert not world.overloads


def test_the_primary_keeps_its_size_until_the_cool_down_is_over() -> None:
    """From the tick before the first traffic moves; afterwards it is its autoscaler's again."""
    world = a_run({"stepWeights": [100]})
    assert world.primary is not None
    floors = []
    while world.tick().phase != "Succeeded":
        floors.append((world.primary.floor, world.primary.replicas))
    assert set(floors) == {(10, 10)}
    world.load = 2
    for _ in range(LIMITS.cool_down // INTERVAL - 1):
        world.tick()
    assert (world.primary.floor, world.primary.replicas) == (10, 10)
    course(world, 2)

    assert (world.primary.floor, world.primary.replicas) == (0, 3)


def test_when_the_cool_down_ends() -> None:
    """The idle Canary is looked at then; not where there was no run, or nothing to hold."""
    world = a_run()
    seen, since = world.snapshot(), world.status.last_transition_time
    assert since is not None

    assert capacity.held_until(world.status, seen) == since + LIMITS.cool_down
    assert capacity.held_until(world.status, replace(seen, capacity=None)) is None
    assert capacity.held_until(with_fields(world.status, run=None), seen) is None


def test_a_rollback_goes_home_at_once() -> None:
    """Whatever the weight: the primary has kept its pods."""
    world = a_run({"stepWeights": [100], "threshold": 1}, ticks=1)
    world.given({"checks": "fail"})
    course(world, 1)

    tick = world.tick()
    assert (tick.phase, tick.split) == ("Failed", "100/0")


def short_of_pods(analysis: dict[str, Any] | None = None) -> World:
    """A run that has failed at 80 %, while somebody has made the primary too small to take everybody back."""
    world = a_run(analysis or {"stepWeights": [80], "threshold": 1}, ticks=1)
    assert world.primary is not None
    world.given({"checks": "fail"})
    world.tick()
    world.scalers_work = False
    world.primary.replicas = 4
    return world


def test_a_rollback_to_a_primary_that_is_too_small_takes_its_pods_into_account() -> None:
    """An overloaded primary fails everybody: the traffic goes home as fast as there are pods, and why is told once."""
    world = short_of_pods()
    assert world.primary is not None
    first = world.tick()
    world.primary.replicas = 7
    second = world.tick()
    world.primary.replicas = 10
    third = world.tick()

    assert splits([first, second, third]) == ["40/60", "70/30", "100/0"]
    assert [tick.phase for tick in (first, second, third)] == ["Progressing", "Progressing", "Failed"]
    assert first.said == (
        "W: Rolling back checkout.shop failed checks threshold reached 1",
        "N: Advance checkout.shop primary weight 40",
    )
    assert second.said == ("N: Advance checkout.shop primary weight 70",)
    assert third.said == ("W: Canary failed! Scaling down checkout.shop",)
    assert (first.alerts, second.alerts, third.alerts) == (("error",), (), ())


def test_a_retreat_takes_a_minute_at_most() -> None:
    """Then the failing canary is left, as waiting has not helped."""
    world = short_of_pods()
    ticks = course(world, 3)

    assert splits(ticks) == ["40/60", "40/60", "100/0"]
    assert ticks[-1].phase == "Failed"


@pytest.mark.parametrize(
    "change",
    [pytest.param({"canary": "it crashed"}, id="broken"), pytest.param({"target": "C"}, id="replaced")],
)
def test_a_canary_that_does_not_serve_is_left_at_once(change: dict[str, str]) -> None:
    """A small primary is better than one that isn't there, or than code that nobody has looked at."""
    world = short_of_pods()
    world.tick()
    world.given(change)

    tick = world.tick()
    assert (tick.phase, tick.split) == ("Failed", "100/0")


def promoting(analysis: dict[str, Any]) -> World:
    """A run whose primary runs the new revision with 4 pods of 10."""
    world = a_run(analysis, ticks=2)
    assert world.primary is not None
    assert world.status.phase == "Promoting"
    world.scalers_work = False
    world.primary.replicas = 4
    return world


def test_the_way_home_takes_as_long_as_the_primary_needs() -> None:
    """In proportion to its pods."""
    world = promoting({"stepWeights": [80]})
    assert world.primary is not None
    ticks = course(world, 2)
    world.primary.replicas = 10
    ticks += course(world, 2)

    assert splits(ticks) == ["40/60", "40/60", "100/0", "100/0"]
    assert [tick.phase for tick in ticks] == ["Promoting", "Promoting", "Finalising", "Succeeded"]
    assert ticks[0].said == ("N: Advance checkout.shop primary weight 40",)


def test_the_way_home_has_an_end() -> None:
    """A primary that doesn't get more pods gets its traffic all the same: it is the promoted revision."""
    world = promoting({"stepWeights": [80]})
    ticks = course(world, LIMITS.max_wait // INTERVAL + 2)

    assert [tick.phase for tick in ticks[-3:]] == ["Promoting", "Finalising", "Succeeded"]
    assert sum("waiting for capacity: 4 primary pods can carry 40%" in text for text in texts(ticks)) <= 1


def test_a_failed_promotion_leaves_the_primary_as_the_canary_gets_pods() -> None:
    """Pods of the primary that still serve do so until then, for a minute at most; why is told once."""
    world = promoting({"stepWeights": [50]})
    seen, told = world.snapshot(), []
    assert seen.primary is not None
    primary = replace(seen.primary, readiness=Readiness(False, "it is stuck", terminal=True), available=6)
    seen = replace(seen, primary=primary)
    target, status, splits_seen = seen.target, seen.status, []
    assert target is not None
    for pods, seconds in ((7, 0), (7, 30), (8, 45), (8, 60)):
        now = seen.now + timedelta(seconds=seconds)
        sides = {"target": replace(target, available=pods), "status": status}
        decision = decide(replace(seen, now=now, **sides), Facts())
        assert isinstance(decision, Decision)
        status, told = decision.status, [*told, *decision.told]
        splits_seen += [effect.split.canary for effect in decision.effects if isinstance(effect, SetSplit)]

    assert splits_seen == [70, 70, 80, 100]
    assert status.phase == "Failed"
    assert sum(isinstance(item, Alert) for item in told) == 1


@pytest.mark.parametrize(
    ("analysis", "provider"),
    [
        pytest.param({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}, "istio", id="A/B"),
        pytest.param({"iterations": 2}, "kubernetes", id="no router"),
    ],
)
def test_what_has_no_shares_is_not_waited_for(analysis: dict[str, Any], provider: str) -> None:
    """How many requests match is not known; the primary keeps its size all the same."""
    world = a_run(analysis, provider=provider)
    assert world.primary is not None
    world.tick()
    floor = world.primary.floor
    world.scalers_work = False

    assert course(world, 6)[-1].phase == "Succeeded"
    assert (floor, world.target.floor) == (10, 0)


def test_blue_green_switches_when_all_pods_are_there() -> None:
    """They are asked for one iteration ahead, as the switch gives the canary everything at once."""
    world = a_run({"iterations": 2}, ticks=1)
    assert world.target.replicas == 3
    ticks = course(world, 3)

    assert splits(ticks) == ["100/0", "0/100", "0/100"]
    assert (world.target.replicas, world.overloads) == (10, [])


def test_more_load_takes_more_pods() -> None:
    """A primary that grows beyond its size before the run tells what a way home would take by now."""
    world = a_run({"stepWeights": [50, 60, 70]}, ticks=1)
    world.load = 24
    world.tick()
    world.tick()

    assert world.primary is not None
    assert world.status.run is not None
    assert world.status.run.size == 24
    assert world.primary.floor == 24


def test_off_means_upstream() -> None:
    """Nothing waits and nothing is held."""
    world = World(STEPS)
    world.capacity = None
    world.autoscaled(LOAD)
    world.given({"target": "B"})
    world.tick()
    world.scalers_work = False
    ticks = course(world, 2)

    assert world.primary is not None
    assert splits(ticks) == ["80/20", "50/50"]
    assert (world.target.replicas, world.target.floor, world.primary.floor) == (3, 0, 0)


def test_a_run_that_began_without_a_yardstick_is_left_alone() -> None:
    """One that an older operator started goes on as it began."""
    world = a_run()
    run = with_fields(world.status.run, size=0) if world.status.run else None
    world.status = with_fields(world.status, run=run)
    world.scalers_work = False

    assert splits(course(world, 2)) == ["80/20", "50/50"]
    assert capacity.primary_floor(world.snapshot()) == 0


def test_what_survives_a_restart() -> None:
    """The yardstick, the wait and the retreat are in the status."""
    world = short_of_pods()
    world.tick()

    assert world.reread() == world.status
    assert world.status.run is not None
    assert world.status.run.retreat.startswith("Rolling back checkout.shop")
    assert world.status.run.size == 10
    assert world.status.run.short_since is not None
    assert world.now - world.status.run.short_since < timedelta(seconds=1)
