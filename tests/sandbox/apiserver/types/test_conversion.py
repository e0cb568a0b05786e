"""Resources that are stored in one form and served in two."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.apiserver.types.builders import NOW, Object, built_in, placed

OLD = built_in("autoscaling", "v1", "horizontalpodautoscalers")
NEW = built_in("autoscaling", "v2", "horizontalpodautoscalers")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
SELECTOR = {"matchLabels": {"a": "b"}}
METRICS: list[Object] = [
    {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
    },
    {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 5}},
    },
    {
        "type": "Pods",
        "pods": {
            "metric": {"name": "rps", "selector": SELECTOR},
            "target": {"type": "AverageValue", "averageValue": "5"},
        },
    },
    {
        "type": "Object",
        "object": {
            "describedObject": TARGET,
            "metric": {"name": "rps"},
            "target": {"type": "Value", "value": "5"},
        },
    },
    {
        "type": "External",
        "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}},
    },
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "app",
            "target": {"type": "Utilization", "averageUtilization": 5},
        },
    },
]
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}


def scaler(kind: Any, **spec: Any) -> Object:
    """A stored autoscaler."""
    obj = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 4} | spec}
    made: Object = kind.prepare_create(placed(kind, "shop", obj), NOW)
    return made


@given(st.lists(st.sampled_from(METRICS), unique_by=str, max_size=6))
def test_metrics_survive_the_older_version(metrics: list[Object]) -> None:
    """A new autoscaler read and written in the older version keeps its metrics and its behaviour."""
    stored = scaler(NEW, metrics=[*metrics, CPU], behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})

    shown = OLD.from_storage(stored)
    again = OLD.to_storage(OLD.prepare_update(shown, shown))

    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 70
    assert again["spec"] == stored["spec"]
    assert not again["metadata"].get("annotations")


def test_status_survives_the_older_version() -> None:
    """Conditions and current metrics move to annotations and back."""
    current = [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "90m"}},
        }
    ]
    conditions = [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]
    status = {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": current, "conditions": conditions}
    stored = scaler(NEW) | {"status": status}

    shown = OLD.from_storage(stored)

    assert shown["status"] == {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentCPUUtilizationPercentage": 9,
    }
    assert OLD.to_storage(shown)["status"] == status


def test_an_older_autoscaler_gets_the_newer_defaults() -> None:
    """Without metrics cpu at 80 % is meant."""
    made = scaler(OLD)

    assert made["spec"]["targetCPUUtilizationPercentage"] == 80
    assert OLD.to_storage(made)["apiVersion"] == "autoscaling/v2"


def test_a_broken_annotation_is_no_reason_to_fail() -> None:
    """Annotations that are not JSON are ignored."""
    made = scaler(OLD)
    made["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "{"}

    assert len(OLD.to_storage(made)["spec"]["metrics"]) == 1


def test_events_are_the_same_in_both_groups() -> None:
    """An event has other names in the newer group, and nothing is lost on the way."""
    old, new = built_in("", "v1", "events"), built_in("events.k8s.io", "v1", "events")
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "shop"},
        "reason": "Synced",
        "message": "hello",
        "source": {"component": "op"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "count": 3,
        "type": "Normal",
    }
    stored = old.prepare_create(placed(old, "shop", event), NOW)

    shown = new.from_storage(stored)

    assert (shown["apiVersion"], shown["note"], shown["deprecatedCount"]) == ("events.k8s.io/v1", "hello", 3)
    assert (shown["regarding"]["name"], shown["deprecatedSource"]) == ("p", {"component": "op"})
    assert new.to_storage(shown) == stored
    assert (old.storage, old.storage_version) == (new.storage, new.storage_version) == ("events", "v1")
