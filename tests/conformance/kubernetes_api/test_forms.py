"""One object in several forms: protobuf bodies, and versions that share what is stored."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kubernetes_api.servers import Api

PROTOBUF = "application/vnd.kubernetes.protobuf"
RECORDED = json.loads(Path(__file__).with_name("protobuf_bodies.json").read_text())


NAMESPACE = "pbns"
"""The namespace inside the recorded bodies."""


@pytest.fixture
async def recorded_namespace(api: Api) -> None:
    """The namespace of the recorded bodies, with the service account that they name."""
    made = await api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    assert made.status in {201, 409}
    account = await api.post(api.path("serviceaccounts", namespace=NAMESPACE), {"metadata": {"name": "op"}})
    assert account.status in {201, 409}


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has all members of `part`, with the same values."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("recorded", RECORDED, ids=[item["decoded"]["kind"] for item in RECORDED])
@pytest.mark.usefixtures("recorded_namespace")
async def test_protobuf_bodies(api: Api, recorded: dict[str, Any]) -> None:
    """What kubectl sends in protobuf means the same as its JSON form; the answer comes as JSON if asked for."""
    meant = recorded["decoded"]
    if meant["kind"] == "SelfSubjectReview":
        api.server.needs(28)
    path = recorded["path"].replace("{namespace}", NAMESPACE)
    body = base64.b64decode(recorded["body"])

    reply = await api.post(path, body, params={"dryRun": "All"}, headers={"Content-Type": PROTOBUF})

    if reply.status == 409:  # the namespace and the account are there already
        assert meant["kind"] in {"Namespace", "ServiceAccount"}
        return
    assert reply.status == 201, reply.body
    assert contains(reply.body, meant)


def autoscaler(**spec: Any) -> dict[str, Any]:
    """An autoscaler of either version."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {"metadata": {"name": "web"}, "spec": {"maxReplicas": 4, "scaleTargetRef": target} | spec}


def newest(api: Api) -> str:
    """The newest version of autoscalers on a server."""
    return "autoscaling/v2" if api.server.since(23) else "autoscaling/v2beta2"


async def test_an_old_autoscaler_in_the_new_form(api: Api) -> None:
    """A percentage of cpu is a metric in the newer version."""
    await api.create(
        "horizontalpodautoscalers", autoscaler(targetCPUUtilizationPercentage=70), group="autoscaling/v1"
    )

    shown = (await api.get(api.path("horizontalpodautoscalers", "web", group=newest(api)))).ok()

    target = {"type": "Utilization", "averageUtilization": 70}
    assert shown["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    assert shown["apiVersion"] == newest(api)


async def test_a_new_autoscaler_in_the_old_form(api: Api) -> None:
    """What the older version has no room for is in its annotations; behaviour is completed."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    metrics = [{"type": "Resource", "resource": cpu}, {"type": "Resource", "resource": memory}]
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    obj = autoscaler(minReplicas=2, metrics=metrics, behavior=behavior)

    made = await api.create("horizontalpodautoscalers", obj, group=newest(api))
    old = (await api.get(api.path("horizontalpodautoscalers", "web", group="autoscaling/v1"))).ok()

    scale_up = made["spec"]["behavior"]["scaleUp"]
    assert scale_up["policies"] == [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ]
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    notes = old["metadata"]["annotations"]
    kept = json.loads(notes["autoscaling.alpha.kubernetes.io/metrics"])
    assert kept == [{"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}]
    rules = json.loads(notes["autoscaling.alpha.kubernetes.io/behavior"])
    assert rules["ScaleDown"]["StabilizationWindowSeconds"] == 60


async def test_an_old_autoscaler_defaults_to_cpu(api: Api) -> None:
    """Without metrics cpu at 80 % is meant, also in the older version."""
    made = await api.create("horizontalpodautoscalers", autoscaler(), group="autoscaling/v1")

    assert made["spec"]["targetCPUUtilizationPercentage"] == 80
    assert made["spec"]["minReplicas"] == 1


async def test_events_of_both_groups(api: Api) -> None:
    """An event is the same in both groups, under different names."""
    about = {"kind": "Deployment", "namespace": api.namespace, "name": "web"}
    core = {"metadata": {"name": "old"}, "involvedObject": about, "reason": "Synced", "message": "hello"}
    await api.create("events", core | {"type": "Normal", "source": {"component": "op"}})
    new = {
        "metadata": {"name": "new"},
        "eventTime": "2026-01-02T03:04:05.000001Z",
        "action": "Sync",
        "reason": "Synced",
        "note": "hi",
        "type": "Normal",
        "reportingController": "op",
        "reportingInstance": "op-1",
        "regarding": about,
    }
    await api.create("events", new, group="events.k8s.io/v1")

    shown = (await api.get(api.path("events", "old", group="events.k8s.io/v1"))).ok()
    back = (await api.get(api.path("events", "new"))).ok()

    assert (shown["note"], shown["regarding"], shown["deprecatedSource"]) == (
        "hello",
        about,
        {"component": "op"},
    )
    assert (back["message"], back["involvedObject"], back["reportingComponent"]) == ("hi", about, "op")
    assert back["eventTime"] == "2026-01-02T03:04:05.000001Z"


async def test_events_of_the_new_group_say_who_reports(api: Api) -> None:
    """events.k8s.io wants a time, an action, and a reporter."""
    about = {"kind": "Deployment", "namespace": api.namespace, "name": "web"}

    reply = await api.post(
        api.path("events", group="events.k8s.io/v1"), {"metadata": {"name": "e"}, "regarding": about}
    )

    reply.failed(422, "Invalid")
    assert "eventTime" in reply.cause_fields()
