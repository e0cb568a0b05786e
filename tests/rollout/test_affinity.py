"""Session cookies appear with a run's first weight and are retired with its last."""

from __future__ import annotations

import re

from flagger.rollout.state import Feature
from tests.rollout.simulation import EVERYTHING, World

STEPS = {"stepWeight": 50, "maxWeight": 50}
PINNED = {**STEPS, "sessionAffinity": {"cookieName": "co-canary", "primaryCookieName": "co-primary"}}


def cookies(world: World) -> tuple[str, str, str]:
    """The canary's, the primary's and the retired cookie."""
    status = world.status
    return (
        status.session_affinity_cookie,
        status.primary_session_affinity_cookie,
        status.previous_session_affinity_cookie,
    )


def a_release(world: World, revision: str, ticks: int) -> None:
    world.given({"target": revision})
    for _ in range(ticks):
        world.tick()


def test_cookies_live_as_long_as_the_canary_has_traffic() -> None:
    """None before the first weight, the same ones until the traffic is home, then the canary's is retired."""
    world = World(PINNED)

    a_release(world, "B", ticks=1)
    assert cookies(world) == ("", "", "")

    world.tick()
    canary, primary, _ = given = cookies(world)
    assert re.fullmatch("co-canary=[a-zA-Z]{10}", canary)
    assert re.fullmatch("co-primary=[a-zA-Z]{10}", primary)

    world.tick()
    assert (world.status.phase, cookies(world)) == ("Promoting", given)

    world.tick()
    assert cookies(world) == ("", primary, canary)


def test_a_repeated_tick_finds_the_same_cookie() -> None:
    """A crash between the route and the status changes nobody's cookie; another run has its own."""
    world = World(PINNED)
    a_release(world, "B", ticks=1)
    world.crash(after=1)
    world.tick()
    first = cookies(world)[0]

    again = World(PINNED)
    a_release(again, "B", ticks=2)
    assert cookies(again)[0] == first

    a_release(again, "C", ticks=2)
    assert cookies(again)[0] not in {first, ""}
    assert cookies(again)[2] == first


def test_a_rollback_retires_the_cookie() -> None:
    """Clients of a bad release are told to drop its cookie."""
    world = World({**PINNED, "threshold": 1})
    a_release(world, "B", ticks=2)
    canary = cookies(world)[0]
    world.given({"checks": "fail"})

    world.tick()
    world.tick()

    assert (world.status.phase, cookies(world)[0], cookies(world)[2]) == ("Failed", "", canary)


def test_routers_without_affinity_set_no_cookies() -> None:
    """What a router can't honour is not recorded."""
    world = World(PINNED)
    world.features = EVERYTHING - {Feature.AFFINITY}

    a_release(world, "B", ticks=2)

    assert cookies(world) == ("", "", "")
