"""Gates, freezing, skipping, and blue/green: side by side, as they don't disturb each other."""

import asyncio

import pytest

from flagger.demo.scene import CANARY
from tests.e2e.gatekeeper import Gatekeeper, a_gatekeeper
from tests.e2e.manifests import SUCCESS_RATE, a_canary, a_deployment, a_hook
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox


async def test_gates_freezing_skipping_and_blue_green(stage: Stage) -> None:
    """Each in a Canary of its own, see there."""
    async with a_gatekeeper(stage) as keeper:
        await asyncio.gather(
            gates_open_one_by_one(stage, keeper),
            a_rollback_on_request(stage, keeper),
            nothing_happens_while_frozen(stage),
            skipping_promotes_at_once(stage),
            blue_green_switches_without_routes(stage, keeper),
            a_broken_canary_leaves_others_alone(stage),
        )


async def gates_open_one_by_one(stage: Stage, keeper: Gatekeeper) -> None:
    """A run waits at each gate, without failed checks, until it is opened."""
    kinds = {
        "rollout": "confirm-rollout",
        "traffic": "confirm-traffic-increase",
        "promotion": "confirm-promotion",
    }
    for gate in kinds:
        keeper.close(f"/gated/{gate}")
    hooks = [a_hook(gate, kind, f"{keeper.url}/gated/{gate}") for gate, kind in kinds.items()]
    await stage.release("gated", canary=a_canary("gated", webhooks=hooks))
    await stage.push("gated", "1.1.0")

    assert await stage.phase("gated", "Waiting") == ("Waiting", 0, 0)
    keeper.open("/gated/rollout")
    await stage.phase("gated", "Progressing")
    await stage.until(lambda: keeper.calls["/gated/traffic"] >= 2, "traffic is held twice")
    assert stage.status("gated") == ("Progressing", 0, 0)
    keeper.open("/gated/traffic")
    assert await stage.phase("gated", "WaitingPromotion") == ("WaitingPromotion", 50, 0)
    keeper.open("/gated/promotion")
    await stage.phase("gated", "Succeeded")
    assert (await stage.ending("gated"))["primary"] == "1.1.0"


async def a_rollback_on_request(stage: Stage, keeper: Gatekeeper) -> None:
    """A rollback hook that says yes ends a run whose checks all pass."""
    keeper.close("/returned")
    hooks = [a_hook("panic", "rollback", f"{keeper.url}/returned")]
    await stage.release("returned", canary=a_canary("returned", webhooks=hooks))
    await stage.push("returned", "1.1.0")
    await stage.until(lambda: stage.status("returned")[1] == 20, "returned is at 20 %")
    keeper.open("/returned")
    await stage.phase("returned", "Failed")
    ending = await stage.ending("returned")
    assert (ending["primary"], ending["target replicas"], ending["failed checks"]) == ("1.0.0", 0, 0)


async def nothing_happens_while_frozen(stage: Stage) -> None:
    """`suspend` stops everything where it is; without it the run goes on."""
    await stage.release("frozen")
    await suspend(stage, "frozen", True)
    await stage.push("frozen", "1.1.0")
    await asyncio.sleep(2.5)
    assert stage.status("frozen") == ("Initialized", 0, 0)
    await suspend(stage, "frozen", False)
    await stage.phase("frozen", "Succeeded")


async def suspend(stage: Stage, name: str, whether: bool) -> None:
    await stage.client.patch(CANARY, name, stage.namespace, {"spec": {"suspend": whether}})


async def skipping_promotes_at_once(stage: Stage) -> None:
    """`skipAnalysis` promotes without any traffic on the canary."""
    await stage.release("hurried", canary=a_canary("hurried", spec={"skipAnalysis": True}))
    await stage.push("hurried", "1.1.0")
    await stage.phase("hurried", "Succeeded")
    assert stage.weights("hurried") == [0]
    assert (await stage.ending("hurried"))["primary"] == "1.1.0"


async def blue_green_switches_without_routes(stage: Stage, keeper: Gatekeeper) -> None:
    """The provider `kubernetes` tests a version without user traffic, then rolls it out by Services alone."""
    keeper.close("/blue/judge")
    services = {"provider": "kubernetes", "service": {"port": 9898}}
    analysis = {"stepWeights": None, "iterations": 3, "threshold": 2}
    judge = a_hook("judge", "rollout", f"{keeper.url}/blue/judge")
    for name, hooks in (("green", []), ("blue", [judge])):
        canary = a_canary(name, spec=services, webhooks=hooks, **analysis)
        await stage.release(name, canary=canary)
        await stage.push(name, "1.1.0")
    await asyncio.gather(stage.phase("green", "Succeeded"), stage.phase("blue", "Failed"))
    assert stage.weights("green") == stage.weights("blue") == [0]
    iterations = [text for text in stage.told["green"] if "iteration" in text]
    assert iterations == [f"Advance green.{stage.namespace} canary iteration {n}/3" for n in (1, 2, 3)]


async def a_broken_canary_leaves_others_alone(stage: Stage) -> None:
    """One that can't be run is told which field is wrong, and what its target is missing; nobody else cares."""
    wrong = a_canary("wrong", metrics=[{**SUCCESS_RATE, "templateRef": {"name": "nowhere"}}])
    await stage.apply(a_deployment("wrong"), wrong, a_canary("lonely"))
    await stage.until(lambda: bool(stage.told["lonely"]), "the missing target is told")
    assert "lonely" in stage.told["lonely"][0]
    assert "not found" in stage.told["lonely"][0]
