"""DaemonSets have a pod on each node that suits, with our controllers and with the real ones."""

import pytest

from flagger.kube.client import PatchType
from flagger.kube.errors import AlreadyExists
from flagger.kube.objects import DAEMON_SET, NODE, Kind, Object, labels_of, name_of
from tests.sandbox.controllers.player import now
from tests.sandbox.controllers.world import World, a_template, until

REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")


@pytest.fixture
async def nodes(world: World) -> list[str]:
    """Two ready nodes."""
    names = ["node-a", "node-b"]
    for name in names:
        try:
            await world.client.create(NODE, {"metadata": {"name": name, "labels": {"disk": "ssd"}}})
        except AlreadyExists:
            continue
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now(), "lastTransitionTime": now()}
    for name in names:
        # A real server taints new nodes until a controller sees that they are ready; none does so here.
        await world.client.patch(NODE, name, None, {"spec": {"taints": None}})
        body: Object = {"status": {"conditions": [{**ready, "reason": "KubeletReady", "message": ""}]}}
        content = PatchType.STRATEGIC
        await world.client.patch(NODE, name, None, body, subresource="status", content=content)
    return names


def a_daemon_set(**template: str) -> Object:
    """A DaemonSet `agent`."""
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": a_template(app="agent", **template)}
    return {"metadata": {"name": "agent"}, "spec": spec}


async def settled(world: World, number: int) -> Object:
    """The DaemonSet once all is well on so many nodes."""

    def check(one: Object) -> bool:
        status = one["status"]
        current = status.get("observedGeneration") == one["metadata"]["generation"]
        wanted = (number, status.get("desiredNumberScheduled"))
        names = ("currentNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled")
        return current and wanted[0] == wanted[1] and all(status.get(name, 0) == number for name in names)

    return await world.when(DAEMON_SET, "agent", check, f"settled on {number} nodes")


async def test_runs_on_every_node(world: World, nodes: list[str]) -> None:
    """One pod per node, marked with its revision; counters at zero are absent but for the mandatory ones."""
    await world.create(DAEMON_SET, a_daemon_set())

    one = await settled(world, 2)
    pods = await world.pods()

    assert len(pods) == 2
    assert all({"controller-revision-hash", "pod-template-generation"} <= set(labels_of(pod)) for pod in pods)
    assert one["status"] == {
        "currentNumberScheduled": 2,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 2,
        "numberReady": 2,
        "observedGeneration": 1,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    }
    assert len(await world.all(REVISION)) == 1


async def test_renews_one_pod_at_a_time(world: World, nodes: list[str]) -> None:
    """A new version that does not get ready costs one pod, not all of them."""
    await world.create(DAEMON_SET, a_daemon_set())
    await settled(world, 2)

    template = a_template(app="agent", image="registry.local/agent:2", ready="never")
    await world.patch(DAEMON_SET, "agent", {"spec": {"template": template}})

    stuck = await world.when(
        DAEMON_SET, "agent", lambda one: one["status"].get("updatedNumberScheduled") == 1, "one updated"
    )
    assert stuck["status"]["numberReady"] == 1
    images = sorted(pod["spec"]["containers"][0]["image"] for pod in await world.pods())
    assert images == ["registry.local/agent:2", "registry.local/web:1"]

    template = a_template(app="agent", image="registry.local/agent:3", ready="yes")
    await world.patch(DAEMON_SET, "agent", {"spec": {"template": template}})
    await settled(world, 2)
    assert {pod["spec"]["containers"][0]["image"] for pod in await world.pods()} == {"registry.local/agent:3"}


async def test_a_selector_that_fits_nowhere_parks_it(world: World, nodes: list[str]) -> None:
    """The pods go, nothing is desired; without the selector they come back."""
    await world.create(DAEMON_SET, a_daemon_set())
    await settled(world, 2)

    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"flagger.app/scale-to-zero": "true"}}}}}
    await world.patch(DAEMON_SET, "agent", nowhere)
    await settled(world, 0)

    async def empty() -> bool:
        return not await world.pods()

    await until(empty, "no pods")
    await world.patch(DAEMON_SET, "agent", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    await settled(world, 2)


async def test_replaces_a_deleted_pod(world: World, nodes: list[str]) -> None:
    """Each node has its pod again."""
    await world.create(DAEMON_SET, a_daemon_set())
    await settled(world, 2)
    lost = name_of((await world.pods())[0])

    await world.client.delete(Kind("", "v1", "Pod", "pods"), lost, world.namespace)

    async def again() -> bool:
        names = {name_of(pod) for pod in await world.pods()}
        return lost not in names and len(names) == 2

    await until(again, "two pods, one of them new")
