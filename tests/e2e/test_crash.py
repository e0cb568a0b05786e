"""An operator that is killed in the middle of anything, and started again, comes to the same end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.gatekeeper import HANG, NO, YES, Gatekeeper, a_gatekeeper
from tests.e2e.manifests import a_canary, a_deployment, a_hook
from tests.e2e.stage import Stage, Status
from tests.fakes.sandbox import OperatorProcess
from tests.fakes.scripted import Reply

pytestmark = pytest.mark.sandbox

Point = Callable[[Status, int], bool]
"""Says by the Canary's status and the calls of its hook so far whether a moment has come."""


def at(phase: str, weight: int = 0) -> Point:
    return lambda status, _: status[:2] == (phase, weight)


def called(_status: Status, calls: int) -> bool:
    return calls > 0


def failed_once(status: Status, _: int) -> bool:
    return status[2] == 1


def going_home(status: Status, _: int) -> bool:
    return status[0] == "Promoting" and 0 < status[1] < 50


def always(_status: Status, _calls: int) -> bool:
    return True


@dataclass(frozen=True)
class Scenario:
    """A run that is killed at `point`, where a hook of the type `hook` may hold it by its `reply`.

    The hook does so from the moment `holds` on; after the kill it says yes.
    """

    name: str
    point: Point
    hook: str = ""
    reply: Reply = NO
    holds: Point = always
    delay: int = 0
    end: str = "Succeeded"
    weights: Sequence[int] = (0, 20, 50, 0)
    analysis: dict[str, Any] = field(default_factory=dict)


TAKEN_BACK = (0, 20, 0)
STEPWISE = (0, 20, 50, 30, 10, 0)
MORE_TRAFFIC = "confirm-traffic-increase"
HELD = (
    Scenario("waiting", at("Waiting"), "confirm-rollout"),
    Scenario("before-traffic", called, "pre-rollout", HANG),
    Scenario("at-20", at("Progressing", 20), MORE_TRAFFIC, holds=at("Progressing", 20)),
    Scenario("at-50", at("Progressing", 50), MORE_TRAFFIC, holds=at("Progressing", 50)),
    Scenario("waiting-for-promotion", at("WaitingPromotion", 50), "confirm-promotion"),
    Scenario("completing", called, "post-rollout", HANG),
    Scenario("failing", failed_once, "rollout", HANG, holds=failed_once, end="Failed", weights=TAKEN_BACK),
    Scenario("rolling-back", called, "post-rollout", HANG, end="Failed", weights=TAKEN_BACK),
)
"""They stay at their points, so that one kill meets them all."""
PASSING = (
    Scenario("promoting", at("Promoting", 50), delay=2),
    Scenario(
        "going-home", going_home, weights=STEPWISE, analysis={"stepWeightPromotion": 20, "interval": "2s"}
    ),
    Scenario("finalising", at("Finalising"), analysis={"interval": "2s"}),
)
"""They are at their points for seconds only; each has a kill of its own."""
SCENARIOS = (*HELD, *PASSING)


async def test_a_killed_operator_comes_to_the_same_end(stage: Stage, operator: OperatorProcess) -> None:
    """A SIGKILL at any point of a run changes nothing of its end, as compared to runs that were left alone."""
    async with a_gatekeeper(stage) as keeper:
        await asyncio.gather(*(prepare(stage, keeper, scenario) for scenario in SCENARIOS))
        calm = await asyncio.gather(*(run(stage, scenario) for scenario in HELD))
        killer = Killer(stage, keeper, operator)
        disturbed = await asyncio.gather(*(killer.disturb(scenario) for scenario in SCENARIOS))

    endings = {outcome.ending["phase"]: outcome.ending for outcome in calm}
    for scenario, found in zip(SCENARIOS, disturbed, strict=True):
        assert found.ending == endings[scenario.end], scenario.name
        # A step may be missing in the status, when a kill came between the route and the status.
        steps = iter(scenario.weights)
        assert all(weight in steps for weight in found.weights), (scenario.name, found.weights)
    for scenario, found in zip(HELD, calm, strict=True):
        assert tuple(found.weights) == scenario.weights


async def test_a_killed_operator_finds_what_came_meanwhile(stage: Stage, operator: OperatorProcess) -> None:
    """Killed while it sets a Canary up, and while nothing happens: what came in the meantime is found."""
    await stage.release("idle")
    await stage.apply(a_deployment("new", delay=2), a_canary("new"))
    await stage.phase("new", "Initializing")
    operator.kill()
    await stage.push("idle", "1.1.0")
    await stage.apply(a_deployment("later"), a_canary("later"))
    operator.start()
    await asyncio.gather(
        stage.phase("new", "Initialized"),
        stage.phase("later", "Initialized"),
        stage.phase("idle", "Succeeded"),
    )

    endings = [await stage.ending(name) for name in ("new", "later")]
    assert endings[0] == endings[1]
    assert (await stage.ending("idle"))["primary"] == "1.1.0"


async def prepare(stage: Stage, keeper: Gatekeeper, scenario: Scenario) -> None:
    """The Canary of a scenario, initialized. Its hook says yes; that of a bad release has a judge who says no."""
    name, url = scenario.name, f"{keeper.url}/{scenario.name}"
    hooks = [a_hook("held", scenario.hook, url, timeout="30s")] if scenario.hook else []
    if scenario.end == "Failed":
        keeper.close(f"/{name}/judge")
        hooks.append(a_hook("judge", "rollout", f"{url}/judge"))
    canary = a_canary(name, webhooks=hooks, threshold=2, **scenario.analysis)
    await stage.release(name, deployment=a_deployment(name, delay=scenario.delay), canary=canary)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and the weights on the way."""

    ending: dict[str, Any]
    weights: Sequence[int]


async def run(stage: Stage, scenario: Scenario) -> Outcome:
    """A release to its end."""
    start = len(stage.history[scenario.name])
    await stage.push(scenario.name, "1.1.0")
    await stage.until(lambda: moved(stage, scenario.name, start), f"{scenario.name} has begun")
    return await outcome(stage, scenario, start)


async def outcome(stage: Stage, scenario: Scenario, start: int) -> Outcome:
    """Wait for the end; the versions are left out, but for whether the primary has the last one."""
    name = scenario.name
    await stage.phase(name, scenario.end)
    ending = await stage.ending(name)
    promoted = ending.pop("primary") == ending.pop("target")
    return Outcome({**ending, "promoted": promoted}, stage.weights(name, start))


def moved(stage: Stage, name: str, start: int) -> bool:
    """Has the Canary left the phase that it rested in?"""
    return any(phase not in {"Succeeded", "Failed"} for phase, _, _ in stage.history[name][start:])


@dataclass
class Killer:
    """Kills the operator when scenarios have come to their points."""

    stage: Stage
    keeper: Gatekeeper
    operator: OperatorProcess
    arrived: dict[str, Callable[[], bool]] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    killing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def disturb(self, scenario: Scenario) -> Outcome:
        """A release with a kill at the scenario's point."""
        stage, keeper, name, path = self.stage, self.keeper, scenario.name, f"/{scenario.name}"
        start, calls = len(stage.history[name]), keeper.calls[path]

        def now(point: Point) -> bool:
            return point(stage.status(name), keeper.calls[path] - calls)

        if scenario.hook:
            keeper.rules[path] = lambda: scenario.reply if now(scenario.holds) else YES
        self.arrived[name] = lambda: moved(stage, name, start) and now(scenario.point)
        await stage.push(name, "1.2.0")
        together = {each.name for each in HELD} if scenario in HELD else {name}
        await stage.until(lambda: self.are_there(together), f"{name} is at its point")
        async with self.killing:
            if name not in self.killed:
                await self.kill()
        assert name in self.killed, f"{name} went on: {stage.status(name)}"
        return await outcome(stage, scenario, start)

    def are_there(self, names: set[str]) -> bool:
        """Has the moment come for these, or has it been?"""
        return names <= self.killed or all(name in self.arrived and self.arrived[name]() for name in names)

    async def kill(self) -> None:
        """Kill, open the gates of those that were met at their points, start again."""
        self.operator.kill()
        met = {name for name, arrived in self.arrived.items() if arrived()}
        if not {each.name for each in HELD} <= met:
            met -= {each.name for each in HELD}  # they are to be met together
        for name in met:
            self.keeper.open(f"/{name}")
        self.killed |= met
        await asyncio.to_thread(self.operator.start)
