"""A change of a ConfigMap or Secret as a release of its own, by a running operator."""

from __future__ import annotations

import time

from flagger.kube.objects import CONFIG_MAP, DEPLOYMENT, SECRET, Object
from flagger.runtime.kinds import CANARY
from flagger.workloads.primary import identity_of
from tests.fakes.cluster import Lab, a_canary, deployments_rolling, until
from tests.runtime.operating import an_operator, phase_is
from tests.workloads.test_configs import BOTH, a_config_map, a_secret, configured

FAST = {"interval": "50ms", "stepWeight": 50, "maxWeight": 50}


async def run_number(lab: Lab) -> int:
    return ((await lab.get(CANARY)).get("status", {}).get("run") or {}).get("number", 0)


async def released(lab: Lab, number: int) -> Object:
    """Wait until that run is over; returns the Canary."""

    async def over() -> bool:
        return await run_number(lab) == number

    await until(over, f"run {number} has begun", within=2)
    return await phase_is(lab, "Succeeded")


async def test_edits_are_released(lab: Lab) -> None:
    """Each edit is noticed at once and analysed; at the end the primary rolls onto a copy of the new data."""
    await lab.add(a_config_map(), a_secret(), configured(), a_canary(analysis=FAST))
    async with deployments_rolling(lab.client), an_operator(lab):
        canary = await phase_is(lab, "Initialized")
        assert canary["status"]["trackedConfigs"] == BOTH
        first = await lab.get(DEPLOYMENT, "checkout-primary")

        begun = time.monotonic()
        await lab.client.patch(CONFIG_MAP, "env", "shop", {"data": {"CURRENCY": "USD"}})
        await phase_is(lab, "Progressing", "Promoting", "Finalising", "Succeeded", within=2)
        assert time.monotonic() - begun < 1
        canary = await released(lab, 1)

        status = canary["status"]
        assert status["lastPromotedSpec"] == status["lastAppliedSpec"]
        assert status["trackedConfigs"].keys() == BOTH.keys()
        assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "USD"
        second = await lab.get(DEPLOYMENT, "checkout-primary")
        assert identity_of(second["spec"]["template"]) != identity_of(first["spec"]["template"])

        await lab.client.patch(SECRET, "db", "shop", {"stringData": {"password": "new"}})
        await released(lab, 2)
        await lab.client.create(CONFIG_MAP, a_config_map("flags"))
        canary = await released(lab, 3)
        assert "configmap/flags" in canary["status"]["trackedConfigs"]


async def test_others_and_opted_out_ones_wake_nobody(lab: Lab) -> None:
    """Labels, foreign ConfigMaps and those that are opted out are no release."""
    opted = a_config_map("flags", annotations={"flagger.app/config-tracking": "disabled"})
    await lab.add(a_config_map(), a_secret(), opted, configured(), a_canary(analysis=FAST))
    async with deployments_rolling(lab.client), an_operator(lab):
        await phase_is(lab, "Initialized")
        await lab.client.patch(CONFIG_MAP, "flags", "shop", {"data": {"CURRENCY": "USD"}})
        await lab.client.patch(CONFIG_MAP, "env", "shop", {"metadata": {"labels": {"a": "b"}}})
        await lab.client.create(CONFIG_MAP, a_config_map("foreign"))
        await lab.client.patch(SECRET, "db", "shop", {"stringData": {"password": "new"}})
        await released(lab, 1)

        assert await run_number(lab) == 1


async def test_an_edit_during_a_run_starts_it_over(lab: Lab) -> None:
    """What was analysed so far says nothing about the new data: from weight 0, with a new number, at once."""
    slow = {"interval": "1s", "stepWeight": 10, "maxWeight": 50}
    await lab.add(a_config_map(), a_secret(), configured(), a_canary(analysis=slow))
    async with deployments_rolling(lab.client), an_operator(lab):
        await phase_is(lab, "Initialized")
        await lab.client.patch(CONFIG_MAP, "env", "shop", {"data": {"CURRENCY": "USD"}})

        async def moving() -> bool:
            return (await lab.get(CANARY))["status"]["canaryWeight"] > 0

        await until(moving, "traffic moves")
        await lab.client.patch(CONFIG_MAP, "env", "shop", {"data": {"CURRENCY": "GBP"}})

        async def over_again() -> bool:
            status = (await lab.get(CANARY))["status"]
            return (status["run"]["number"], status["canaryWeight"]) == (2, 0)

        await until(over_again, "the run starts over", within=1)
