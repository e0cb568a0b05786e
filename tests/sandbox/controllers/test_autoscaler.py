"""HorizontalPodAutoscalers of the sandbox: the formula, and Deployments that follow what their pods report."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flagger.kube.client import Client
from flagger.kube.objects import DEPLOYMENT, HPA, Object
from flagger.sandbox.controllers.autoscaling import (
    UnsupportedMetricError,
    Wish,
    bounded,
    proposed,
    quantity,
    stabilized,
    targets_of,
)
from flagger.sandbox.controllers.readings import Readings, rate_of, total_of
from tests.fakes.scripted import Reply, ScriptedServer
from tests.sandbox.controllers.world import PLAYED, World, a_deployment, embedded, inhabited

NOW = datetime(2030, 1, 5, 10, 0, tzinfo=UTC)
POD_METRIC = {
    "type": "Pods",
    "pods": {"metric": {"name": "queue_length"}, "target": {"type": "AverageValue", "averageValue": "10"}},
}


def an_autoscaler(**spec: Any) -> Object:
    """2 to 5 pods of Deployment `web`."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    limits = {"minReplicas": 2, "maxReplicas": 5, "metrics": [POD_METRIC]}
    return {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": reference, **limits, **spec}}


@pytest.mark.parametrize(
    ("current", "readings", "unready", "size"),
    [
        pytest.param(3, [20.0, 20.0, 20.0], 0, 6, id="twice the load"),
        pytest.param(3, [12.0, 11.0, 13.0], 0, 4, id="rounded up"),
        pytest.param(3, [10.9, 10.9, 10.9], 0, 3, id="near enough"),
        pytest.param(4, [2.0, 2.0, 2.0, 2.0], 0, 1, id="less load"),
        pytest.param(4, [30.0, 30.0], 2, 6, id="more is coming: those count as idle"),
        pytest.param(4, [11.5, 11.5], 2, 4, id="enough is coming"),
        pytest.param(4, [2.0, 2.0], 2, 3, id="unready ones count as used"),
        pytest.param(4, [], 4, 4, id="nobody knows"),
    ],
)
def test_the_formula(current: int, readings: list[float], unready: int, size: int) -> None:
    """Pods times load over target, 10 here, within a tolerance of a tenth."""
    assert proposed(current, readings, unready, 10.0) == size


@pytest.mark.parametrize(
    ("down", "size"),
    [pytest.param(300, 9, id="wait"), pytest.param(10, 4, id="soon"), pytest.param(0, 3, id="now")],
)
def test_windows(down: int, size: int) -> None:
    """It shrinks to the greatest size that was wished for within the window."""
    scaler = an_autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": down}})
    wishes = [Wish(NOW - timedelta(seconds=age), size) for age, size in ((60, 9), (5, 4), (0, 3))]

    assert stabilized(scaler, 9, wishes, NOW) == size
    assert stabilized(scaler, 2, wishes, NOW) == 3, "growing doesn't wait"


def test_limits_and_quantities() -> None:
    """The least and the greatest size; numbers as the API writes them."""
    assert [bounded(an_autoscaler(), size) for size in (1, 3, 9)] == [2, 3, 5]
    assert [quantity(text) for text in ("7", "1500m", "2k", 3)] == [7, 1.5, 2000, 3]


def test_what_the_sandbox_does_not_measure() -> None:
    """The text says what to use instead."""
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}

    with pytest.raises(UnsupportedMetricError, match="no Resource metrics: use type Pods, AverageValue"):
        targets_of(an_autoscaler(metrics=[cpu]))


def test_counters_and_rates() -> None:
    """All series of a name are added up; a rate takes two samples, and forgets what is older than its window."""
    text = 'a_total{x="1"} 3\na_total{x="2"} 4\na_total_b 9\n# a_total 5\nb 2.5'

    assert [total_of(text, name) for name in ("a_total", "b", "c")] == [7, 2.5, None]
    assert rate_of(deque([(0.0, 5.0)])) is None
    assert rate_of(deque([(0.0, 0.0), (1.0, 100.0), (5.0, 140.0)])) == 10.0


async def test_readings_over_http() -> None:
    """From where the annotations say; pods that don't answer have no value."""
    async with ScriptedServer([Reply(200, b"queue_length 12\n")]) as server:
        port = server.url.rpartition(":")[2]
        pods = [a_pod("a", "127.0.0.1", port), a_pod("b", "127.0.0.1", "1")]

        assert await Readings().of(pods, "queue_length") == [12.0]


def a_pod(uid: str, address: str, port: str) -> Object:
    metadata = {"uid": uid, "annotations": {"prometheus.io/port": port}}
    return {"metadata": metadata, "status": {"podIP": address}}


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """Our own autoscalers, on the embedded server."""
    async with (
        embedded(folder) as connection,
        inhabited(connection, only=PLAYED),
        Client(connection) as client,
    ):
        yield World(client, "default")


async def test_keeps_its_limits_and_says_what_it_can_not_do(tmp_path: Path) -> None:
    """Also without metrics; a Deployment of size zero is left alone."""
    cpu = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    async with a_world(tmp_path) as world:
        await world.create(DEPLOYMENT, a_deployment(replicas=1))
        await world.create(HPA, an_autoscaler(metrics=[cpu]))
        await world.deployed(replicas=2)
        seen = await world.when(
            HPA, "web", lambda one: one["status"].get("conditions"), "it says how it goes"
        )
        (condition,) = seen["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("ScalingActive", "False")
        assert "no Resource metrics" in condition["message"]

        await world.patch(HPA, "web", {"spec": {"minReplicas": 4}})
        await world.deployed(replicas=4)
        await world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 0}})
        await world.when(HPA, "web", disabled, "it stands still")
        await asyncio.wait_for(world.deployed(replicas=0), 5)


def disabled(autoscaler: Object) -> bool:
    return autoscaler["status"]["conditions"][0]["reason"] == "ScalingDisabled"
