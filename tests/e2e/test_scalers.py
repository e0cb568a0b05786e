"""Releases of targets that are scaled by somebody; the test plays KEDA and the HPA controller."""

from typing import Any

import pytest

from flagger.kube.objects import DEPLOYMENT, HPA, Object, annotations_of
from flagger.workloads.scaled_object import SCALED_OBJECT
from tests.e2e.autoscaling import autoscaling
from tests.e2e.manifests import a_canary, a_deployment
from tests.e2e.stage import Stage, eventually
from tests.e2e.test_deletion import created
from tests.workloads.test_scaled_object import PAUSED

pytestmark = pytest.mark.sandbox


def a_scaled_object(name: str) -> Object:
    """With fields of versions of KEDA that nobody here knows."""
    trigger = {"serverAddress": "http://prometheus.monitoring:9090", "threshold": "20"}
    query = f'sum(rate(http_requests_total{{app="{name}"}}[1m]))'
    return {
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": name},
            "minReplicaCount": 2,
            "maxReplicaCount": 4,
            "fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "static"},
            "triggers": [{"type": "prometheus", "name": "load", "metadata": {**trigger, "query": query}}],
        },
    }


def scaled_by(kind: str, version: str, name: str, **more: Any) -> dict[str, Any]:
    return {"autoscalerRef": {"apiVersion": version, "kind": kind, "name": name, **more}}


async def sizes(stage: Stage, name: str) -> tuple[int, int]:
    """Replicas wanted of primary and target."""
    found = [await stage.client.get(DEPLOYMENT, each, stage.namespace) for each in (f"{name}-primary", name)]
    return found[0]["spec"]["replicas"], found[1]["spec"]["replicas"]


async def paused(stage: Stage) -> str | None:
    found = await stage.client.get(SCALED_OBJECT, "queue", stage.namespace)
    return annotations_of(found).get(PAUSED)


async def test_a_scaled_object(stage: Stage) -> None:
    """It is paused while the target rests, so that KEDA doesn't wake it; the primary has its own."""
    async with autoscaling(stage):
        await created(stage, DEPLOYMENT, a_deployment("queue", replicas=2))
        scaled = await created(stage, SCALED_OBJECT, a_scaled_object("queue"))
        spec = scaled_by("ScaledObject", "keda.sh/v1alpha1", "queue")
        await stage.apply(a_canary("queue", spec=spec))
        await stage.phase("queue", "Initialized")
        assert (await sizes(stage, "queue"), await paused(stage)) == ((2, 0), "0")
        copied = await stage.client.get(SCALED_OBJECT, "queue-primary", stage.namespace)
        assert copied["spec"]["fallback"] == scaled["spec"]["fallback"]
        assert 'app="queue-primary"' in copied["spec"]["triggers"][0]["metadata"]["query"]
        assert PAUSED not in annotations_of(copied)

        async with stage.users("queue.example") as users:
            await stage.push("queue", "1.1.0")
            await stage.phase("queue", "Progressing")
            assert await paused(stage) is None
            assert (await sizes(stage, "queue"))[1] == 2
            await stage.phase("queue", "Succeeded")

        await eventually(lambda: rests(stage, "queue"), "the target rests")
        assert (await paused(stage), users.total.problems) == ("0", {})
        after = await stage.client.get(SCALED_OBJECT, "queue", stage.namespace)
        assert after["spec"] == scaled["spec"], "what is unknown is kept"


async def rests(stage: Stage, name: str) -> bool:
    return (await sizes(stage, name))[1] == 0


async def test_a_horizontal_pod_autoscaler(stage: Stage) -> None:
    """The primary's has the limits that the Canary names, and follows the target's at a promotion."""
    scale = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    cpu["resource"]["target"]["averageUtilization"] = 70  # type: ignore[index]
    limits = {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": scale, "metrics": [cpu]}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    await created(stage, HPA, {"metadata": {"name": "web"}, "spec": {**limits, "behavior": behavior}})
    named = scaled_by(
        "HorizontalPodAutoscaler", "autoscaling/v2", "web", primaryScalerReplicas={"minReplicas": 3}
    )
    async with autoscaling(stage):
        await stage.release(
            "web", deployment=a_deployment("web", replicas=1), canary=a_canary("web", spec=named)
        )
        primary = await stage.client.get(HPA, "web-primary", stage.namespace)
        assert (primary["spec"]["minReplicas"], primary["spec"]["maxReplicas"]) == (3, 4)
        assert primary["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60
        assert primary["spec"]["scaleTargetRef"]["name"] == "web-primary"
        await eventually(lambda: sizes_are(stage, 3, 0), "the primary has its minimum, the target rests")

        await stage.client.patch(HPA, "web", stage.namespace, {"spec": {"maxReplicas": 6}})
        async with stage.users("web.example") as users:
            await stage.push("web", "1.1.0")
            await stage.phase("web", "Progressing")
            await eventually(lambda: sizes_are(stage, 3, 2), "the canary starts at the target's minimum")
            await stage.phase("web", "Succeeded")

        assert users.total.problems == {}
        await eventually(lambda: sizes_are(stage, 3, 0), "the target rests again")
        primary = await stage.client.get(HPA, "web-primary", stage.namespace)
        assert (primary["spec"]["minReplicas"], primary["spec"]["maxReplicas"]) == (3, 6)


async def sizes_are(stage: Stage, primary: int, target: int) -> bool:
    return await sizes(stage, "web") == (primary, target)
