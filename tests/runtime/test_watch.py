"""Which changes wake which Canaries, with an operator at work on a real API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from flagger.api.names import ROUTE_REFS
from flagger.kube.objects import DEPLOYMENT, SERVICE, annotations_of, labels_of
from flagger.runtime.kinds import CANARY
from flagger.runtime.main import Operator
from tests.fakes.cluster import (
    ROUTE,
    SHOP,
    VIRTUAL_SERVICE,
    Lab,
    a_canary,
    a_target,
    brief,
    deployments_rolling,
    until,
)
from tests.runtime.operating import METRICS, an_operator, phase_is, weights_of

SLOW: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS, "interval": "30s"}
LATE = 3.0  # seconds that anything may take that comes at once; the interval is ten times as long
QUIET = 0.3  # seconds in which a wake-up that must not come would have come

Logs = list[MutableMapping[str, Any]]


def ticks(logs: Logs, name: str = "checkout") -> int:
    """How many ticks of a Canary have ended."""
    return sum(entry["event"] == "tick done" and entry["canary"] == f"{name}.shop" for entry in logs)


def image(number: int) -> dict[str, Any]:
    containers = [{"name": "web", "image": f"podinfo:{number}"}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


@asynccontextmanager
async def at_rest(lab: Lab, **canary: Any) -> AsyncIterator[tuple[Operator, Logs]]:
    """An operator with an initialized Canary that nothing wakes by time; logs and requests start empty."""
    await lab.add(a_target(), a_canary(**{"analysis": SLOW, **canary}))
    with capture_logs() as logs:
        async with an_operator(lab) as operator, deployments_rolling(lab.client):
            await phase_is(lab, "Initialized")
            await settled(lab, logs)
            yield operator, logs


async def settled(lab: Lab, logs: Logs) -> None:
    """Wait until nothing more happens, and start counting anew."""
    known = -1
    while known != len(logs) + len(lab.sent):
        known = len(logs) + len(lab.sent)
        await asyncio.sleep(QUIET / 2)
    logs.clear()
    lab.sent.clear()


async def started(lab: Lab, logs: Logs, weights: list[int]) -> None:
    """A run under way at its first weight, whose next tick is far away."""
    await lab.change(DEPLOYMENT, image(2))

    async def moved() -> bool:
        return weights_of(await lab.get(ROUTE)) == weights

    await until(moved, f"the route is at {weights}")
    await settled(lab, logs)


async def test_a_new_revision_is_noticed_at_once(lab: Lab) -> None:
    """Within a second, whatever the interval is; and the readiness of the canary brings the next tick."""
    async with at_rest(lab):
        begun = time.monotonic()
        await lab.change(DEPLOYMENT, image(2))
        await phase_is(lab, "Progressing", within=1.0)
        assert time.monotonic() - begun < 1.0

        async def moved() -> bool:
            return weights_of(await lab.get(ROUTE)) == [80, 20]

        await until(moved, "the first step")


async def test_a_fix_in_mid_run_is_noticed_at_once(lab: Lab) -> None:
    """Another revision restarts a running analysis within a second."""
    async with at_rest(lab) as (_, logs):
        await started(lab, logs, [80, 20])

        await lab.change(DEPLOYMENT, image(3))

        async def home() -> bool:
            return weights_of(await lab.get(ROUTE)) == [100, 0]

        await until(home, "the traffic is home", within=LATE)


async def test_a_route_named_by_annotation_is_noticed_at_once(lab: Lab) -> None:
    """An annotation is no new generation; from then on the route is looked at, at rest as in a run."""
    sides = [{"destination": {"host": f"checkout-{side}"}, "weight": 50} for side in ("primary", "canary")]
    metadata = {"name": "theirs", "namespace": SHOP}
    await lab.client.create(VIRTUAL_SERVICE, {"metadata": metadata, "spec": {"http": [{"route": sides}]}})
    ref = {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": "VirtualService", "name": "theirs"}

    async def home() -> bool:
        (rule,) = (await lab.get(VIRTUAL_SERVICE, "theirs"))["spec"]["http"]
        return [entry["weight"] for entry in rule["route"]] == [100, 0]

    async with at_rest(lab, provider="istio", service={"gatewayRefs": []}):
        await lab.change(CANARY, {"metadata": {"annotations": {ROUTE_REFS: json.dumps([ref])}}})
        await until(home, "the canary has nothing at rest", within=LATE)

        await lab.change(VIRTUAL_SERVICE, {"spec": {"http": [{"route": sides}]}}, "theirs")
        await until(home, "it has nothing again", within=LATE)


async def test_our_own_scaling_wakes_nobody(lab: Lab) -> None:
    """A change of the target's size is no revision."""
    async with at_rest(lab) as (_, logs):
        await started(lab, logs, [80, 20])

        await lab.change(DEPLOYMENT, {"spec": {"replicas": 7}})
        await asyncio.sleep(QUIET)

        assert ticks(logs) == 0


@pytest.mark.parametrize(
    ("kind", "name", "damage"),
    [
        pytest.param(ROUTE, "checkout", {"spec": {"hostnames": ["x.test"]}}, id="route"),
        pytest.param(ROUTE, "checkout", {"metadata": {"annotations": None}}, id="marks of a route"),
        pytest.param(SERVICE, "checkout", {"spec": {"selector": {"app": "x"}}}, id="apex Service"),
        pytest.param(SERVICE, "checkout-canary", {"spec": {"selector": {"app": "x"}}}, id="canary Service"),
    ],
)
async def test_drift_of_an_idle_canary_is_put_right_at_once(
    lab: Lab, kind: Any, name: str, damage: Any
) -> None:
    """Nobody has to wait for an interval that an idle Canary doesn't have."""
    async with at_rest(lab):
        before = await lab.get(kind, name)
        await lab.change(kind, damage, name)

        async def healed() -> bool:
            after = await lab.get(kind, name)
            return after["spec"] == before["spec"] and annotations_of(after) == annotations_of(before)

        await until(healed, "the damage is undone", within=LATE)


@pytest.mark.parametrize("kind", [ROUTE, SERVICE], ids=lambda kind: kind.kind)
async def test_a_lost_object_of_an_idle_canary_is_made_again(lab: Lab, kind: Any) -> None:
    """At once, too."""
    async with at_rest(lab):
        uid = (await lab.get(kind))["metadata"]["uid"]
        await lab.client.delete(kind, "checkout", SHOP)

        async def back() -> bool:
            return (await lab.get(kind))["metadata"]["uid"] != uid

        await until(back, f"the {kind.kind} is back", within=LATE)


async def test_what_controllers_report_wakes_nobody(lab: Lab) -> None:
    """The status of a route, a Deployment or the Canary itself changes often and means nothing to a Canary at rest."""
    async with at_rest(lab) as (_, logs):
        parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
        moment = "2030-01-05T10:00:00Z"
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "A",
            "message": "",
            "lastTransitionTime": moment,
        }
        report = {"parents": [{"parentRef": parent, "controllerName": "x.y/z", "conditions": [condition]}]}
        await lab.change(ROUTE, {"status": report}, subresource="status")
        await lab.rolled_out("checkout-primary", availableReplicas=1)
        await lab.change(CANARY, {"status": {"failedChecks": 1}}, subresource="status")
        await lab.change(CANARY, {"metadata": {"labels": {"seen": "yes"}}})
        await asyncio.sleep(QUIET)

        assert (ticks(logs), lab.sent) == (0, [])


async def test_what_belongs_to_others_wakes_nobody(lab: Lab) -> None:
    """Objects that no Canary looks at, however alike they are."""
    async with at_rest(lab) as (_, logs):
        await lab.add(a_target("other"))
        await lab.change(DEPLOYMENT, image(2), "other")
        await asyncio.sleep(QUIET)

        assert (ticks(logs), lab.sent) == (0, [])


async def test_another_setting_of_a_run_keeps_its_pace(lab: Lab) -> None:
    """A change of the Canary in mid-run is no reason for an earlier step; a shorter interval counts at once."""
    async with at_rest(lab) as (_, logs):
        await started(lab, logs, [80, 20])

        await lab.change(CANARY, {"spec": {"analysis": {"threshold": 7}}})
        await asyncio.sleep(QUIET)
        assert ticks(logs) == 0

        await lab.change(CANARY, {"spec": {"analysis": {"interval": "1s"}}})
        await until(lambda: ticks(logs), "the next tick", within=3.0)


async def test_suspending_is_noticed_at_once(lab: Lab) -> None:
    """Nothing moves from then on."""
    async with at_rest(lab) as (_, logs):
        await started(lab, logs, [80, 20])
        await lab.change(CANARY, {"spec": {"suspend": True}})
        await until(lambda: ticks(logs) == 1, "the tick that says so", within=LATE)

        assert (weights_of(await lab.get(ROUTE)), ticks(logs)) == ([80, 20], 1)


async def test_a_deleted_canary_is_forgotten(lab: Lab) -> None:
    """Its series go, its target may change, nobody ticks."""
    async with at_rest(lab) as (operator, logs):
        series = "flagger_canary_status", {"name": "checkout", "namespace": SHOP}
        assert operator.world.telemetry.registry.get_sample_value(*series) == 1
        await lab.remove(CANARY)
        await lab.change(DEPLOYMENT, image(2))
        await asyncio.sleep(QUIET)

        assert (ticks(logs), len(operator.schedule)) == (0, 0)
        assert operator.world.telemetry.registry.get_sample_value(*series) is None
        assert operator.world.registry.population() == {}


async def test_the_younger_canary_takes_over(lab: Lab) -> None:
    """What waits for an older one on the same target goes on as soon as that is gone."""
    async with at_rest(lab):
        twin = a_canary("twin", analysis=SLOW)
        twin["spec"]["targetRef"]["name"] = "checkout"
        twin["metadata"]["labels"] = {"younger": "yes"}
        await asyncio.sleep(1.0)  # creation times have seconds
        await lab.add(twin)

        async def refused() -> bool:
            conditions = (await lab.get(CANARY, "twin")).get("status", {}).get("conditions", ())
            return any(item["type"] == "Accepted" for item in conditions)

        await until(refused, "the twin is refused")
        await lab.client.delete(CANARY, "checkout", SHOP)

        assert labels_of(await phase_is(lab, "Initialized", name="twin")) == {"younger": "yes"}


async def test_a_hundred_canaries_at_rest_cost_nothing(lab: Lab) -> None:
    """No request at all, beside the watches that are open."""
    names = [f"web-{number}" for number in range(100)]
    for name in names:
        await lab.client.create(DEPLOYMENT, a_target(name))
        await lab.client.create(CANARY, a_canary(name, provider="kubernetes", analysis={"iterations": 3}))
    with capture_logs() as logs:
        async with an_operator(lab), deployments_rolling(lab.client):
            for name in names:
                await phase_is(lab, "Initialized", name=name, within=30.0)
            await settled(lab, logs)
            await asyncio.sleep(1.0)

            assert [brief(request) for request in lab.sent] == []


async def test_a_whole_release_at_full_speed(lab: Lab) -> None:
    """From the push to the promotion, woken by nothing but changes and a short interval."""
    await lab.add(a_target(), a_canary(analysis={**SLOW, "interval": "1s"}))
    async with an_operator(lab), deployments_rolling(lab.client):
        await phase_is(lab, "Initialized")
        await lab.change(DEPLOYMENT, image(2))
        await phase_is(lab, "Succeeded", within=20.0)

    primary = await lab.get(DEPLOYMENT, "checkout-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "podinfo:2"
