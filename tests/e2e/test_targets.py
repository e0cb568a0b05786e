"""Releases that are no new image of a Deployment: a ConfigMap, and a DaemonSet."""

import pytest

from flagger.demo.scene import CANARY
from flagger.kube.objects import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, Object
from tests.e2e.manifests import IMAGE, a_canary, a_deployment
from tests.e2e.stage import Stage, eventually, image_of

pytestmark = pytest.mark.sandbox


def a_greeting(stage: Stage, text: str) -> Object:
    return {
        "metadata": {"name": "greeting", "namespace": stage.namespace},
        "data": {"PODINFO_UI_MESSAGE": text},
    }


async def test_a_change_of_a_config_map_is_released(stage: Stage) -> None:
    """Users go on reading the old one until it is promoted; then the primary rolls onto the new one."""
    target = a_deployment("greeter")
    (container,) = target["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "greeting"}}]
    await stage.client.create(CONFIG_MAP, a_greeting(stage, "hello"))
    await stage.release("greeter", deployment=target)
    assert (await copy_of(stage))["data"] == {"PODINFO_UI_MESSAGE": "hello"}

    async with stage.users("greeter.example") as users:
        body = {"data": {"PODINFO_UI_MESSAGE": "bye"}}
        await stage.client.patch(CONFIG_MAP, "greeting", stage.namespace, body)
        await stage.phase("greeter", "Progressing", within=5)
        assert (await copy_of(stage))["data"] == {"PODINFO_UI_MESSAGE": "hello"}
        await stage.phase("greeter", "Succeeded")

    assert stage.weights("greeter") == [0, 20, 50, 0]
    assert (users.total.failed, users.total.problems) == (0, {})
    assert (await copy_of(stage))["data"] == {"PODINFO_UI_MESSAGE": "bye"}
    primary = await stage.client.get(DEPLOYMENT, "greeter-primary", stage.namespace)
    (container,) = primary["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "greeting-primary"}}]


async def copy_of(stage: Stage) -> Object:
    return await stage.client.get(CONFIG_MAP, "greeting-primary", stage.namespace)


async def test_a_daemon_set_is_released(stage: Stage) -> None:
    """It runs beside its primary only while it is on trial."""
    target = a_deployment("agent") | {"kind": "DaemonSet"}
    del target["spec"]["replicas"]
    reference = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent"}
    canary = a_canary("agent")
    canary["spec"]["targetRef"] = reference
    target["metadata"]["namespace"] = canary["metadata"]["namespace"] = stage.namespace
    await stage.client.create(DAEMON_SET, target)
    await stage.client.create(CANARY, canary)
    await stage.phase("agent", "Initialized")
    await eventually(lambda: pods_of(stage, 0), "the target is parked")

    (container,) = target["spec"]["template"]["spec"]["containers"]
    containers = [{**container, "image": f"{IMAGE}:1.1.0"}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    async with stage.users("agent.example") as users:
        await stage.client.patch(DAEMON_SET, "agent", stage.namespace, body)
        await stage.phase("agent", "Succeeded")

    # On a single node the primary has no pod for a moment while it rolls: failures of users prove nothing here.
    assert stage.weights("agent") == [0, 20, 50, 0]
    assert users.total.canary > 0
    primary = await stage.client.get(DAEMON_SET, "agent-primary", stage.namespace)
    assert image_of(primary) == "1.1.0"
    await eventually(lambda: pods_of(stage, 0), "the target is parked again")


async def pods_of(stage: Stage, number: int) -> bool:
    """Whether the target has that many pods."""
    target = await stage.client.get(DAEMON_SET, "agent", stage.namespace)
    return target["status"].get("currentNumberScheduled") == number
