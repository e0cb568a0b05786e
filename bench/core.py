"""The pure parts, without I/O: decisions, hashes, and routes made and compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from tests.rollout.simulation import World
from tests.routing.examples import basket

from bench.figures import Figure, at_most
from bench.population import Pace, canary, deployment
from flagger.api.canary import Canary
from flagger.api.validate import validate
from flagger.kube.apply import merge_patch
from flagger.kube.objects import Object
from flagger.rollout.decide import decide
from flagger.rollout.facts import Check, Facts, Verdict
from flagger.rollout.state import Decision, Snapshot, Split
from flagger.routing.base import Router
from flagger.routing.overlay import overlay
from flagger.routing.table import ROUTERS
from flagger.workloads.revision import hash_of

RUNS, BATCH = 15, 400
DAY, TICK = timedelta(days=1), timedelta(seconds=10)
RELEASE_EVERY = 360  # ticks: once an hour
PASSED = Facts(checks=(Check("request-success-rate", Verdict.PASS, 100.0),))


def run() -> list[Figure]:
    """Measure each in batches; a value is the mean of a batch."""
    return [*_decisions(), _day(), *_parsing(), *_routes()]


def microseconds(action: Callable[[], object]) -> tuple[float, ...]:
    """The mean duration of an action in each of several batches, after one batch that doesn't count."""
    found = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        for _ in range(BATCH):
            action()
        found.append((time.perf_counter() - began) / BATCH * 1e6)
    return tuple(found[1:])


def _cost(name: str, action: Callable[[], object], note: str) -> Figure:
    return Figure(name, "µs", microseconds(action), note=note)


def _decisions() -> list[Figure]:
    world = World({"interval": "10s", "stepWeight": 1, "maxWeight": 50}, provider="gatewayapi:v1")
    idle = world.snapshot()
    world.target.revision = "B"
    for _ in range(10):
        world.tick()
    running = world.snapshot()
    verdict = decide(running, PASSED)
    assert isinstance(verdict, Decision), verdict
    assert verdict.effects, verdict.reason
    took = microseconds(lambda: decide(running, PASSED))
    return [
        Figure("decisions per second", "1/s", tuple(1e6 / one for one in took), note=_what(running)),
        _cost("one of an idle Canary", lambda: decide(idle, Facts()), _what(idle)),
    ]


def _what(seen: Snapshot) -> str:
    """What is decided, in words."""
    verdict = decide(seen, PASSED)
    return (
        f"phase {seen.phase}: {verdict.reason if isinstance(verdict, Decision) else type(verdict).__name__}"
    )


def _day() -> Figure:
    """Simulate a day of ticks with a release each hour, in virtual time, in a cluster of a few fields."""
    found = []
    for _ in range(3):
        world = World({"interval": "10s", "stepWeight": 5, "maxWeight": 50}, provider="gatewayapi:v1")
        began = time.perf_counter()
        for number in range(DAY // TICK):
            if number % RELEASE_EVERY == 0:
                world.target.revision = f"r{number}"
            world.tick()
        found.append(time.perf_counter() - began)
        assert world.status.phase == "Succeeded", world.status.phase
    note = f"{DAY // TICK:,} ticks with 24 releases in a simulated cluster; parses the Canary each time"
    return Figure("a day of 10 s ticks", "s", tuple(found), note=note)


def _parsing() -> list[Figure]:
    stored = canary(1, Pace())
    typed = Canary.parse(stored)
    check = partial(validate, typed, provider="gatewayapi:v1", cross_namespace=True)
    template = deployment(1)["spec"]["template"]
    return [
        _cost("Canary.parse", lambda: Canary.parse(stored), "two metrics"),
        _cost("validate", check, "the same"),
        _cost("hash_of a pod template", lambda: hash_of(template), "10 variables, 2 probes"),
    ]


def _routes() -> list[Figure]:
    return [
        figure for provider, make in ROUTERS.items() if make().features for figure in _route(provider, make())
    ]


def _route(provider: str, router: Router) -> list[Figure]:
    """What a weight change costs before anything is sent, and what reading the split costs."""
    typed = basket(provider)
    live = {_named(obj): obj for obj in map(partial(overlay, None), router.desired(typed, Split(10), {}))}
    found = {place: live[place.kind.kind, place.name] for place in router.places(typed)}

    def move() -> list[object]:
        moved = router.desired(typed, Split(20), found)
        pairs = [(live[_named(wanted)], wanted) for wanted in moved]
        return [merge_patch(before, overlay(before, wanted)) for before, wanted in pairs]

    assert any(move()), f"{provider}: a weight change must yield a patch"
    took = tuple(one / 1000 for one in microseconds(move))
    note = f"{len(live)} object{'s' * (len(live) > 1)}: desired, overlay, merge patch"
    return [
        Figure(f"{provider}: route made and compared", "ms", took, at_most(1), note),
        _cost(f"{provider}: split read", lambda: router.split_of(typed, found), "one rule"),
    ]


def _named(obj: Object) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]
