"""Pods get a node: the scheduler on the embedded server, where nobody else binds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flagger.kube.client import Client, PatchType
from flagger.kube.objects import EVENT, NODE, POD, Object
from flagger.sandbox.controllers import Controllers
from tests.sandbox.controllers.player import now
from tests.sandbox.controllers.world import World, a_template, condition, embedded, until


@pytest.fixture
async def scheduled(tmp_path: Path) -> AsyncIterator[World]:
    """The default namespace of a server with nothing but a scheduler."""
    async with embedded(tmp_path) as connection, Client(connection) as client:
        task = asyncio.create_task(Controllers(client, ["scheduler"]).run())
        yield World(client, "default")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def a_node(world: World, name: str, **labels: str) -> None:
    """A node that is ready."""
    await world.client.create(NODE, {"metadata": {"name": name, "labels": labels}})
    await set_ready(world, name, "True")


async def set_ready(world: World, name: str, status: str) -> None:
    """Change a node's condition."""
    entry = {"type": "Ready", "status": status, "lastTransitionTime": now()}
    body: Object = {"status": {"conditions": [entry]}}
    await world.client.patch(NODE, name, None, body, subresource="status", content=PatchType.STRATEGIC)


def a_pod(name: str, **selector: str) -> Object:
    """A pod with a node selector."""
    return {"metadata": {"name": name}, "spec": {**a_template()["spec"], "nodeSelector": selector}}


async def test_binds_to_a_node_that_suits(scheduled: World) -> None:
    """The pod gets the node and the condition, and an Event says so."""
    await a_node(scheduled, "small")
    await a_node(scheduled, "large", size="large")

    await scheduled.create(POD, a_pod("web", size="large"))

    pod = await scheduled.when(POD, "web", lambda obj: obj["spec"].get("nodeName"), "bound")
    assert pod["spec"]["nodeName"] == "large"
    assert condition(pod, "PodScheduled")[0] == "True"
    (event,) = await scheduled.events("Scheduled")
    assert event["message"] == "Successfully assigned default/web to large"


async def test_says_why_not_and_waits(scheduled: World) -> None:
    """Without a node that suits the pod says so; it is bound when one comes."""
    await a_node(scheduled, "small")
    await scheduled.create(POD, a_pod("web", size="large"))

    waiting = await scheduled.when(
        POD, "web", lambda obj: condition(obj, "PodScheduled") == ("False", "Unschedulable"), "refused"
    )
    assert waiting["status"]["phase"] == "Pending"
    assert (await scheduled.events("FailedScheduling"))[0]["message"].startswith("0/1 nodes are available")

    await a_node(scheduled, "large", size="large")
    await scheduled.when(POD, "web", lambda obj: obj["spec"].get("nodeName") == "large", "bound")


async def test_waits_for_a_node_to_be_ready(scheduled: World) -> None:
    """A node that is down gets nothing."""
    await a_node(scheduled, "small")
    await set_ready(scheduled, "small", "False")
    await scheduled.create(POD, a_pod("web"))
    await scheduled.when(POD, "web", lambda obj: condition(obj, "PodScheduled")[0] == "False", "refused")

    await set_ready(scheduled, "small", "True")
    await scheduled.when(POD, "web", lambda obj: obj["spec"].get("nodeName") == "small", "bound")


async def test_leaves_other_schedulers_their_pods(scheduled: World) -> None:
    """`schedulerName` is respected."""
    await a_node(scheduled, "small")
    other = a_pod("other")
    other["spec"]["schedulerName"] = "mine"
    await scheduled.create(POD, other)
    await scheduled.create(POD, a_pod("web"))
    await scheduled.when(POD, "web", lambda obj: obj["spec"].get("nodeName"), "bound")

    assert "nodeName" not in (await scheduled.get(POD, "other"))["spec"]

    async def only_one() -> bool:
        return len([e for e in await scheduled.all(EVENT) if e["reason"] == "Scheduled"]) == 1

    await until(only_one, "one Event")
