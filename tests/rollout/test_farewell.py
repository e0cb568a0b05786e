"""The way back of a Canary that is deleted with `revertOnDeletion`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from flagger.api.errors import FieldError
from flagger.api.phases import Phase
from flagger.rollout.decide import decide
from flagger.rollout.effects import RemoveFinalizer
from flagger.rollout.facts import Facts
from flagger.rollout.repair import Repair, repairs
from flagger.rollout.state import Decision
from tests.rollout.simulation import CANARY, World

PROBLEM = FieldError("spec.service.port", "is missing", "add it")


def a_world(**spec: Any) -> World:
    """An idle Canary that promises to hand everything back."""
    world = World({"stepWeight": 50, "maxWeight": 50})
    world.spec |= {"revertOnDeletion": True, **spec}
    world.tick()
    return world


def deleted(**given: Any) -> World:
    """The same, deleted."""
    world = a_world()
    world.given(given)
    world.delete()
    return world


def decided(world: World, **changes: Any) -> Decision:
    verdict = decide(replace(world.snapshot(), **changes), Facts())
    assert isinstance(verdict, Decision)
    return verdict


def test_the_target_serves_before_anything_else_moves() -> None:
    """Size first, then traffic when it is ready, then the primary goes, then the Canary."""
    world = deleted(canary="it starts")
    rows = []
    for ready in (False, False, True, True):
        if ready:
            world.given({"canary": "ready"})
        tick = world.tick()
        rows.append(
            (tick.phase, world.target.replicas, world.served_by, world.primary is not None, tick.said)
        )

    assert rows == [
        ("Terminating", 2, "primary", True, ("N: Terminating canary checkout.shop",)),
        ("Terminating", 2, "primary", True, ()),
        ("Terminated", 2, "target", True, ()),
        ("Terminated", 2, "target", False, ("N: Terminated canary checkout.shop",)),
    ]
    assert world.finalizers == []


@pytest.mark.parametrize("ticks", range(3))
@pytest.mark.parametrize("after", range(3))
def test_a_crash_at_any_step_repeats_it(ticks: int, after: int) -> None:
    """The same end, whatever had been done before the operator died."""
    world = deleted()
    for _ in range(ticks):
        world.tick()
    world.crash(after)
    for _ in range(4):
        if world.finalizers:
            world.tick()

    assert (world.target.replicas, world.served_by, world.primary) == (2, "target", None)
    assert world.finalizers == []


def test_a_target_that_gets_never_ready_is_said_once() -> None:
    """Users stay on the primary for as long as it takes."""
    world = deleted(canary="!it exceeded its progress deadline")

    said = [line for _ in range(4) for line in world.tick().said if line.startswith("W")]

    assert said == [f"W: canary not ready during finalizing: {CANARY}it exceeded its progress deadline"]
    assert (world.served_by, world.finalizers != []) == ("primary", True)
    world.given({"canary": "ready"})
    world.tick()
    assert world.served_by == "target"


def test_a_target_without_a_deadline_of_its_own_has_the_canarys() -> None:
    """Ten minutes after the deletion it is said, whether or not the workload knows of an end."""
    world = deleted(canary="it starts")
    world.tick()
    assert world.tick().said == ()

    world.now += timedelta(minutes=10)

    assert world.tick().said == (f"W: canary not ready during finalizing: {CANARY}it starts",)


def test_a_target_that_somebody_scales_to_zero_is_brought_up_again() -> None:
    """Without pods it counts as ready, but nobody is sent there."""
    world = deleted(canary="it starts")
    world.tick()
    world.target.replicas = 0
    world.given({"canary": "ready"})

    assert (world.tick().phase, world.target.replicas, world.served_by) == ("Terminating", 2, "primary")
    assert (world.tick().phase, world.served_by) == ("Terminated", "target")


def test_production_at_zero_stays_there() -> None:
    """Where the primary has no pods either, there is nothing to wait for."""
    world = a_world()
    assert world.primary is not None
    world.primary.replicas = 0
    world.delete()

    assert [world.tick().phase for _ in range(2)] == ["Terminating", "Terminated"]


def test_a_missing_target_holds_nothing_up() -> None:
    """Everything is handed back as far as it is there, in one tick, and the status is left alone."""
    world = deleted()

    verdict = decided(world, target=None, primary=None, trouble="deployment checkout-api.shop not found")

    assert verdict.effects[-1] == RemoveFinalizer()
    assert verdict.status == world.status
    assert [getattr(item, "text", "") for item in verdict.told] == [
        "Terminating canary checkout.shop",
        "Terminated canary checkout.shop",
    ]


@pytest.mark.parametrize("spec", [{"suspend": True}, {"provider": "nothing"}], ids=str)
def test_suspended_and_faulty_canaries_are_handed_back_too(spec: dict[str, Any]) -> None:
    """What they took over doesn't depend on what their spec says by now."""
    world = a_world()
    world.spec |= spec
    world.delete()

    verdict = decided(world, problems=(PROBLEM,) if "provider" in spec else ())

    assert verdict.status.phase is Phase.TERMINATING
    assert verdict.effects


def test_a_canary_that_never_began_takes_nothing_back() -> None:
    """One that has always been faulty, such as a second one on the same target, leaves that alone."""
    world = deleted()
    world.status = with_fields(world.status, phase=Phase.NEW)

    assert decided(world, problems=(PROBLEM,)).effects == (RemoveFinalizer(),)


def test_opting_out_lets_the_canary_go() -> None:
    """Also when it is waiting already; what serves stays as it is."""
    world = deleted(canary="it starts")
    world.tick()
    world.spec["revertOnDeletion"] = False

    assert decided(world).effects == (RemoveFinalizer(),)


def test_without_the_finalizer_nothing_is_done() -> None:
    """A Canary that others hold up is not ours any more."""
    world = deleted()
    world.finalizers = ["example.com/theirs"]

    assert decided(world).effects == ()
    assert not list(repairs(world.snapshot()))


@pytest.mark.parametrize(
    ("spec", "finalizers", "changes", "repaired"),
    [
        pytest.param({"revertOnDeletion": True}, [], {}, True, id="opting in"),
        pytest.param({}, ["finalizer.flagger.app"], {}, True, id="opting out"),
        pytest.param({"revertOnDeletion": True}, ["finalizer.flagger.app"], {}, False, id="in order"),
        pytest.param({}, [], {}, False, id="never wanted"),
        pytest.param({"revertOnDeletion": True}, [], {"problems": (PROBLEM,)}, False, id="nothing to revert"),
        pytest.param({"suspend": True}, ["finalizer.flagger.app"], {}, True, id="opting out while suspended"),
    ],
)
def test_the_finalizer_follows_the_spec(
    spec: dict[str, Any], finalizers: list[str], changes: dict[str, Any], repaired: bool
) -> None:
    """It comes before anything is taken over, and goes with the wish."""
    world = World({"stepWeight": 50})
    world.spec |= spec
    world.finalizers = finalizers

    found = list(repairs(replace(world.snapshot(), **changes)))

    assert (Repair.FINALIZER in found) is repaired
    assert not repaired or found[0] is Repair.FINALIZER
