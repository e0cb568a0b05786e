"""Ticks on a real API that hold autoscalers and wait for pods."""

from __future__ import annotations

from typing import Any

from flagger.api.names import RELEASE_GROUP
from flagger.api.quantities import format_time
from flagger.kube.objects import DEPLOYMENT, HPA, annotations_of
from flagger.runtime.kinds import CANARY
from flagger.runtime.main import utc_now
from tests.fakes.cluster import Lab, a_canary, a_target, until
from tests.runtime.operating import Bench, a_bench
from tests.runtime.test_advance import story
from tests.runtime.test_watch import LATE, at_rest
from tests.workloads.test_scalers import an_autoscaler

AUTOSCALED: dict[str, Any] = {
    "analysis": {"stepWeights": [50, 75]},
    "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "checkout"},
}
COOL_DOWN = 300.0  # seconds


async def minimums(lab: Lab) -> tuple[int, int]:
    """Those of the target's and of the primary's autoscaler."""
    found = [await lab.get(HPA, name) for name in ("checkout", "checkout-primary")]
    target, primary = (autoscaler["spec"]["minReplicas"] for autoscaler in found)
    return target, primary


async def pushed(bench: Bench) -> None:
    """A new revision of a target whose primary has grown to 6 pods."""
    await bench.lab.add(an_autoscaler())
    await bench.initialized(a_target(), a_canary(**AUTOSCALED))
    await bench.tick()
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 6}}, "checkout-primary")
    await bench.lab.rolled_out("checkout-primary")
    await bench.push()


async def test_autoscalers_are_held_and_given_back(bench: Bench) -> None:
    """The primary's for the run and its cool-down, after which a tick comes; the target's a step ahead."""
    await pushed(bench)
    await bench.tick()
    held = [await minimums(bench.lab)]
    await bench.lab.rolled_out("checkout")
    assert (await bench.lab.get(DEPLOYMENT))["spec"]["replicas"] == 3, "what the first step needs"
    await bench.tick()
    held.append(await minimums(bench.lab))
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 5}})  # as its autoscaler does
    await bench.lab.rolled_out("checkout")
    again: float | None = None
    while (await bench.status())["phase"] != "Succeeded":
        again = await bench.tick()
        await bench.lab.rolled_out("checkout-primary")

    assert held == [(3, 2), (5, 6)]
    assert (await minimums(bench.lab), again) == ((2, 6), COOL_DOWN)
    assert await bench.tick(after=COOL_DOWN) is None
    assert await minimums(bench.lab) == (2, 2)
    assert not annotations_of(await bench.lab.get(HPA, "checkout-primary"))


async def test_the_wait_is_told_once_and_kept(bench: Bench) -> None:
    """Also over a restart of the operator."""
    await pushed(bench)
    await story(bench, 2)
    await bench.tick()
    bench.restart()
    await bench.tick()

    run = (await bench.status())["run"]
    assert (run["size"], run["waiting"], await bench.weights()) == (6, "capacity@75", [50, 50])
    told = [text for text in await bench.told() if "waiting for capacity" in text]
    lack = "3 canary pods can carry 50%, the next step needs 5 for 75%"
    assert told == [f"W: Halt checkout.shop advancement waiting for capacity: {lack}"]


async def test_off_for_all(lab: Lab) -> None:
    """`-capacity=off` leaves autoscalers alone and waits for nothing; a Canary may want it otherwise."""
    async with a_bench(lab, capacity="off") as bench:
        await pushed(bench)
        await story(bench, 3)
        assert (await minimums(lab), await bench.weights()) == ((2, 2), [25, 75])

        await lab.change(CANARY, {"metadata": {"annotations": {f"{RELEASE_GROUP}/capacity": "enforce"}}})
        await bench.tick()
        assert await minimums(lab) == (5, 6)


async def test_pods_bring_the_next_tick(lab: Lab) -> None:
    """Traffic that waits for the primary's pods comes home as soon as they are there, not at the next interval."""
    await lab.add(an_autoscaler())
    async with at_rest(lab, autoscalerRef=AUTOSCALED["autoscalerRef"]) as (_, logs):
        failed = {
            "phase": "Failed",
            "canaryWeight": 100,
            "lastTransitionTime": format_time(utc_now()),
            "run": {"number": 1, "size": 4},
        }
        await lab.change(CANARY, {"status": failed}, subresource="status")
        await lab.change(CANARY, {"spec": {"analysis": {"threshold": 4}}})

        def waits() -> bool:
            return any("has pods for all traffic" in str(entry.get("reason")) for entry in logs)

        await until(waits, "the tick that waits", within=LATE)
        await lab.change(DEPLOYMENT, {"spec": {"replicas": 4}}, "checkout-primary")

        async def home() -> bool:
            return (await lab.get(CANARY))["status"]["canaryWeight"] == 0

        await until(home, "the traffic is home", within=LATE)
        assert (await minimums(lab))[1] == 4


async def test_a_retreat_does_not_wait_for_the_interval(bench: Bench) -> None:
    """A failing canary is looked at every ten seconds until its traffic has gone, whatever wakes nobody."""
    await pushed(bench)
    await story(bench, 2)
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 4}}, "checkout-primary")
    await bench.lab.rolled_out("checkout-primary")
    await bench.lab.change(CANARY, {"status": {"failedChecks": 3}}, subresource="status")

    assert await bench.tick() == 10.0
    assert (await bench.weights(), (await bench.status())["phase"]) == ([66, 34], "Progressing")
    for _ in range(5):
        assert await bench.tick(after=10.0) == 10.0
    await bench.tick(after=10.0)
    assert (await bench.weights(), (await bench.status())["phase"]) == ([100, 0], "Failed")
