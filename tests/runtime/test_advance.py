"""Ticks on a real API: initialization, whole runs and their endings, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.kube.objects import DEPLOYMENT, SERVICE, annotations_of
from flagger.runtime.kinds import CANARY
from flagger.workloads.primary import REVISION
from tests.fakes.cluster import ROUTE, a_canary, a_target
from tests.runtime.operating import METRICS, Bench

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}
UNSEEN = "waiting for rollout to finish: observed deployment generation less than desired generation"


async def idle(bench: Bench, **spec: Any) -> None:
    """An initialized Canary, and nothing told or sent so far."""
    await bench.initialized(a_target(), a_canary(**{"analysis": WEIGHTED, **spec}))
    bench.lab.sent.clear()


async def story(bench: Bench, ticks: int) -> list[tuple[str, int, list[int], int]]:
    """Phase, weight in the status, weights of the route and replicas of the target after each of some ticks."""
    rows = []
    for _ in range(ticks):
        await bench.tick()
        status, target = await bench.status(), await bench.lab.get(DEPLOYMENT)
        row = status["phase"], status["canaryWeight"], await bench.weights(), target["spec"]["replicas"]
        rows.append(row)
        for name in ("checkout", "checkout-primary"):
            await bench.lab.rolled_out(name)
    return rows


async def test_initialization(bench: Bench) -> None:
    """Services and primary first; users move and the target is parked only when the primary is ready."""
    lab = bench.lab
    await lab.add(a_target(), a_canary(analysis=WEIGHTED))

    assert await bench.tick() == 30
    assert (await bench.status())["phase"] == "Initializing"
    assert lab.writes()[:3] == ["POST services", "POST services", "POST deployments"]
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2

    await lab.rolled_out("checkout-primary")
    assert await bench.tick() is None

    status = await bench.status()
    assert status["phase"] == "Initialized"
    assert status["lastAppliedSpec"] == status["lastPromotedSpec"]
    assert await bench.weights() == [100, 0]
    assert (await lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 0
    assert await bench.told() == [
        "N: all the metrics providers are available!",
        f"W: checkout-primary.shop not ready: {UNSEEN}",
        "N: Initialization done! checkout.shop",
    ]


async def test_a_good_revision_is_promoted(bench: Bench) -> None:
    """The whole course of a weighted run, and the words that go with it."""
    await idle(bench)
    await bench.push()

    assert await story(bench, 7) == [
        ("Progressing", 0, [100, 0], 2),
        ("Progressing", 20, [80, 20], 2),
        ("Progressing", 40, [60, 40], 2),
        ("Promoting", 40, [60, 40], 2),
        ("Finalising", 0, [100, 0], 2),
        ("Succeeded", 0, [100, 0], 0),
        ("Succeeded", 0, [100, 0], 0),
    ]
    status, primary = await bench.status(), await bench.lab.get(DEPLOYMENT, "checkout-primary")
    assert status["lastAppliedSpec"] == status["lastPromotedSpec"] == annotations_of(primary)[REVISION]
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "podinfo:2"
    assert (await bench.told())[3:] == [
        "N: New revision detected! Scaling up checkout.shop",
        "N: Starting canary analysis for checkout.shop",
        "N: Advance checkout.shop canary weight 20",
        "N: Advance checkout.shop canary weight 40",
        "N: Copying checkout.shop template spec to checkout-primary.shop",
        "N: Routing all traffic to primary",
        "N: Promotion completed! Scaling down checkout.shop",
    ]


async def test_a_bad_revision_comes_back(bench: Bench) -> None:
    """Failed checks hold the weight; the tick after the third one takes the traffic back."""
    await idle(bench)
    await bench.push()
    await story(bench, 2)
    bench.metrics.rate = 97.5

    assert await story(bench, 4) == [
        *[("Progressing", 20, [80, 20], 2)] * 3,
        ("Failed", 0, [100, 0], 0),
    ]
    status = await bench.status()
    assert status["lastAppliedSpec"] != status["lastPromotedSpec"]
    assert [(item["type"], item["status"]) for item in status["conditions"]] == [("Promoted", "False")]
    assert (await bench.told())[-3:] == [
        "W: Halt checkout.shop advancement success rate 97.50% < 99%",
        "W: Rolling back checkout.shop failed checks threshold reached 3",
        "W: Canary failed! Scaling down checkout.shop",
    ]


async def test_another_revision_starts_over(bench: Bench) -> None:
    """A push in mid-run takes the traffic home and begins again, with counters at zero."""
    await idle(bench)
    await bench.push()
    await story(bench, 2)
    bench.metrics.rate = 0.0
    await bench.tick()
    bench.metrics.rate = 100.0
    await bench.push("podinfo:3")

    assert await story(bench, 2) == [("Progressing", 0, [100, 0], 2), ("Progressing", 20, [80, 20], 2)]
    assert (await bench.status())["failedChecks"] == 0
    assert "N: New revision detected! Restarting analysis for checkout.shop" in await bench.told()


async def test_a_restart_goes_on_where_it_was(bench: Bench) -> None:
    """Nothing but the cluster's objects is needed to continue a run."""
    await idle(bench)
    await bench.push()
    await story(bench, 3)
    bench.restart()

    assert [row[0] for row in await story(bench, 3)] == ["Promoting", "Finalising", "Succeeded"]


async def test_a_run_on_plain_kubernetes(bench: Bench) -> None:
    """Without a router there are iterations instead of weights; it is said once, at the beginning."""
    await idle(bench, provider="kubernetes", analysis={"stepWeight": 10})
    await bench.push()
    for _ in range(3):
        await bench.tick()
        await bench.lab.rolled_out("checkout")

    status = await bench.status()
    assert (status["phase"], status["iterations"], status["canaryWeight"]) == ("Progressing", 2, 0)
    assert (await bench.told())[-5:] == [
        "N: Starting canary analysis for checkout.shop",
        "W: Progressive traffic is not supported when using the kubernetes provider",
        "W: Setting canaryAnalysis.iterations: 10",
        "N: Advance checkout.shop canary iteration 1/10",
        "N: Advance checkout.shop canary iteration 2/10",
    ]


async def test_an_idle_canary_costs_nothing(bench: Bench) -> None:
    """A tick that finds nothing to do sends no request at all."""
    await idle(bench)
    await bench.tick()
    bench.lab.sent.clear()

    assert await bench.tick() is None
    assert bench.lab.sent == []


async def test_a_move_costs_three_writes(bench: Bench) -> None:
    """The route, the status, the Event; nothing is read."""
    await idle(bench)
    await bench.push()
    await story(bench, 2)
    bench.lab.sent.clear()

    await bench.tick()

    assert await bench.weights() == [60, 40]
    assert bench.lab.reads() == []
    assert bench.lab.writes() == [
        "PATCH httproutes/checkout",
        "PATCH canaries/checkout/status",
        "POST events",
    ]


async def test_a_failed_check_costs_two_writes(bench: Bench) -> None:
    """The status and the Event, which is counted on when it comes again."""
    await idle(bench)
    await bench.push()
    await story(bench, 2)
    bench.metrics.rate = 0.0
    await bench.tick()
    bench.lab.sent.clear()

    await bench.tick()

    assert bench.lab.reads() == []
    assert [line.partition("/")[0] for line in bench.lab.writes()] == ["PATCH canaries", "PATCH events"]


async def test_drift_is_corrected_in_mid_run(bench: Bench) -> None:
    """A label that somebody takes away comes back, and the run goes on from its weight."""
    await idle(bench, service={"apex": {"labels": {"team": "pay"}}})
    await bench.push()
    await story(bench, 2)
    assert (await bench.lab.get(ROUTE))["metadata"]["labels"] == {"team": "pay", "app": "checkout"}
    await bench.lab.change(ROUTE, {"metadata": {"labels": None}})

    assert await story(bench, 1) == [("Progressing", 40, [60, 40], 2)]
    assert (await bench.lab.get(ROUTE))["metadata"]["labels"] == {"team": "pay", "app": "checkout"}


async def test_an_edited_weight_is_where_the_run_goes_on(bench: Bench) -> None:
    """The route decides what the split is, not the status."""
    await idle(bench)
    await bench.push()
    await story(bench, 2)
    (rule,) = (await bench.lab.get(ROUTE))["spec"]["rules"]
    rule["backendRefs"][0]["weight"], rule["backendRefs"][1]["weight"] = 95, 5
    await bench.lab.change(ROUTE, {"spec": {"rules": [rule]}})

    assert (await story(bench, 1))[0][2] == [75, 25]


@pytest.mark.parametrize("kind", [SERVICE, ROUTE], ids=lambda kind: kind.kind)
async def test_what_is_deleted_comes_back(bench: Bench, kind: Any) -> None:
    """An idle Canary whose apex Service or route is gone makes it again."""
    await idle(bench)
    await bench.lab.remove(kind)

    assert await bench.tick() is None
    assert (await bench.lab.get(kind))["metadata"]["ownerReferences"][0]["uid"] == (
        await bench.lab.get(CANARY)
    )["metadata"]["uid"]


async def test_suspended(bench: Bench) -> None:
    """Nothing is touched, which is said once."""
    await idle(bench)
    await bench.lab.change(CANARY, {"spec": {"suspend": True}})
    await bench.push()
    await bench.lab.remove(ROUTE)
    bench.lab.sent.clear()

    for _ in range(3):
        assert await bench.tick() is None

    assert bench.lab.writes() == ["POST events"]
    assert (await bench.told())[-1] == "N: skipping canary run as object is suspended"


async def test_what_a_tick_waits_for_may_have_come_meanwhile(bench: Bench) -> None:
    """A primary that gets ready during the tick that finds it unready is not waited for until the next interval."""
    await bench.lab.add(a_target(), a_canary(analysis=WEIGHTED))
    bench.metrics.meanwhile = lambda: bench.lab.rolled_out("checkout-primary")

    assert await bench.tick() == 0.0
    assert (await bench.status())["phase"] == "Initializing"
    assert await bench.tick() is None
    assert (await bench.status())["phase"] == "Initialized"
