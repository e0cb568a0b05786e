"""Good and bad releases under user traffic."""

import asyncio

import pytest

from tests.e2e.gatekeeper import Gatekeeper, a_gatekeeper
from tests.e2e.manifests import DURATION, SUCCESS_RATE, a_canary, a_deployment, a_hook
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox


async def test_a_good_release_goes_out_and_a_bad_one_comes_back(stage: Stage) -> None:
    """Side by side: no user of the good one sees an error, those of the bad one see its own and no others."""
    async with a_gatekeeper(stage) as keeper:
        for name in ("good", "bad"):
            keeper.close(f"/{name}")
            hook = a_hook("scraped", "confirm-traffic-increase", f"{keeper.url}/{name}")
            canary = a_canary(name, metrics=[SUCCESS_RATE, DURATION], webhooks=[hook])
            await stage.apply(a_deployment(name, replicas=2), canary)
        await asyncio.gather(*(stage.phase(name, "Initialized") for name in ("good", "bad")))

        await asyncio.gather(a_good_release(stage, keeper), a_bad_release(stage, keeper))


async def a_good_release(stage: Stage, keeper: Gatekeeper) -> None:
    """Traffic moves step by step to the new version, and nobody notices."""
    async with stage.users("good.example") as users:
        await stage.push("good", "1.1.0")
        await stage.scraped("good", 2)
        keeper.open("/good")
        await stage.phase("good", "Succeeded")

    assert stage.weights("good") == [0, 20, 50, 0]
    assert (users.total.failed, users.total.problems) == (0, {})
    assert users.total.canary > 10
    assert (await stage.ending("good"))["primary"] == "1.1.0"


async def a_bad_release(stage: Stage, keeper: Gatekeeper) -> None:
    """It is rolled back after the third failed check, after which nobody meets it any more."""
    async with stage.users("bad.example") as users:
        await stage.push("bad", "1.1.0", fail_every=2)
        await stage.scraped("bad", 2)
        keeper.open("/bad")
        await stage.phase("bad", "Failed")
        await users.settled()
        during = users.act
        users.new_act()
        await asyncio.sleep(0.5)

    assert during.failed_by_order > 0
    assert users.total.failed_otherwise == 0
    assert (users.act.answered > 0, users.act.canary) == (True, 0)
    assert "success rate" in stage.halts("bad")[-1]
    ending = await stage.ending("bad")
    assert (ending["primary"], ending["target replicas"]) == ("1.0.0", 0)
    assert ending["split"] == [("-primary", 100), ("-canary", 0)]
