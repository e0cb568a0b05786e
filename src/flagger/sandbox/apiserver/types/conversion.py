"""Resources that are served in more than one form but stored in one: events and autoscalers.

An older form of an autoscaler has no room for most metrics; it carries them in annotations. Both directions
leave their argument alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Older:
    """How a served form relates to the stored message."""

    stored: str
    to_stored: Callable[[Object], Object]
    from_stored: Callable[[Object], Object]
    has_defaults: bool = False
    """The stored form has defaults that the served form must show."""


EVENT_FIELDS: Mapping[str, str] = {
    "note": "message",
    "regarding": "involvedObject",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
"""Member of events.k8s.io/v1 → member of a core/v1 event; the others have one name."""
_CORE_EVENT_FIELDS = {core: name for name, core in EVENT_FIELDS.items()}


def event_to_core(event: Object) -> Object:
    """Return an event of events.k8s.io as a core event."""
    return {EVENT_FIELDS.get(name, name): value for name, value in event.items()} | {"apiVersion": "v1"}


def event_from_core(event: Object) -> Object:
    """Return a core event as events.k8s.io shows it."""
    return {_CORE_EVENT_FIELDS.get(name, name): value for name, value in event.items()}


ANNOTATION = "autoscaling.alpha.kubernetes.io/"
METRIC_FIELDS: Mapping[str, Mapping[str, str]] = {
    "resource": {
        "name": "name",
        "target.averageUtilization": "targetAverageUtilization",
        "target.averageValue": "targetAverageValue",
        "current.averageUtilization": "currentAverageUtilization",
        "current.averageValue": "currentAverageValue",
    },
    "pods": {
        "metric.name": "metricName",
        "metric.selector": "selector",
        "target.averageValue": "targetAverageValue",
        "current.averageValue": "currentAverageValue",
    },
    "object": {
        "describedObject": "target",
        "metric.name": "metricName",
        "metric.selector": "selector",
        "target.value": "targetValue",
        "target.averageValue": "averageValue",
        "current.value": "currentValue",
        "current.averageValue": "averageValue",
    },
    "external": {
        "metric.name": "metricName",
        "metric.selector": "metricSelector",
        "target.value": "targetValue",
        "target.averageValue": "targetAverageValue",
        "current.value": "currentValue",
        "current.averageValue": "currentAverageValue",
    },
}
"""Source of a metric → member in v2 → member in the annotation of v1."""
_SOURCES = dict(METRIC_FIELDS) | {
    "containerResource": {"container": "container"} | dict(METRIC_FIELDS["resource"])
}
_TARGET_TYPES = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}


def _source(metric: Object) -> str:
    return str(metric.get("type", ""))[:1].lower() + str(metric.get("type", ""))[1:]


def _member(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _metric_to_v1(metric: Object) -> Object:
    source = _source(metric)
    values = ((old, _member(metric.get(source), new)) for new, old in _SOURCES.get(source, {}).items())
    return {"type": metric["type"], source: {old: value for old, value in values if value is not None}}


def _metric_to_v2(metric: Object, side: str) -> Object:
    source = _source(metric)
    result: Object = {}
    for new, old in _SOURCES.get(source, {}).items():
        value = (metric.get(source) or {}).get(old)
        owner, _, member = new.rpartition(".")
        if value is None or owner in {"target", "current"} - {side}:
            continue
        place = result.setdefault(owner, {}) if owner else result
        place[member] = value
        if owner == "target":
            place["type"] = _TARGET_TYPES[member]
    return {"type": metric["type"], source: result}


def _is_cpu(metric: Object, member: str) -> bool:
    resource = metric.get("resource", {})
    return resource.get("name") == "cpu" and _member(resource, member) is not None


def autoscaler_to_v1(scaler: Object) -> Object:
    """Return a v2 autoscaler as v1 shows it: cpu as a number, the rest in annotations."""
    spec, status = dict(scaler["spec"]), dict(scaler.get("status") or {})
    notes: Object = {}
    metrics = spec.pop("metrics", None) or []
    cpu = next((metric for metric in metrics if _is_cpu(metric, "target.averageUtilization")), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    notes["metrics"] = [_metric_to_v1(metric) for metric in metrics if metric is not cpu]
    notes["behavior"] = _capitalized(spec.pop("behavior", None))
    notes["conditions"] = status.pop("conditions", None)
    current = status.pop("currentMetrics", None) or []
    cpu = next((metric for metric in current if _is_cpu(metric, "current.averageUtilization")), None)
    if cpu is not None:
        status["currentCPUUtilizationPercentage"] = cpu["resource"]["current"]["averageUtilization"]
    notes["current-metrics"] = [_metric_to_v1(metric) for metric in current]
    annotations = dict(scaler["metadata"].get("annotations") or {})
    annotations |= {
        ANNOTATION + key: json.dumps(value, separators=(",", ":")) for key, value in notes.items() if value
    }
    return scaler | {
        "metadata": scaler["metadata"] | {"annotations": annotations},
        "spec": spec,
        "status": status,
    }


def autoscaler_to_v2(scaler: Object) -> Object:
    """Return a v1 autoscaler as v2, what its annotations say included."""
    spec, status = dict(scaler["spec"]), dict(scaler.get("status") or {})
    annotations = dict(scaler["metadata"].get("annotations") or {})
    notes = {key: _note(annotations.pop(ANNOTATION + key, None)) for key in NOTES}
    metrics = [_metric_to_v2(metric, "target") for metric in notes["metrics"] or ()]
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec |= {"metrics": metrics, "behavior": _lowered(notes["behavior"])}
    status.pop("currentCPUUtilizationPercentage", None)
    current = [_metric_to_v2(metric, "current") for metric in notes["current-metrics"] or ()]
    status |= {"currentMetrics": current or None, "conditions": notes["conditions"]}
    meta = scaler["metadata"] | {"annotations": annotations}
    return scaler | {"apiVersion": "autoscaling/v2", "metadata": meta, "spec": spec, "status": status}


NOTES = ("metrics", "behavior", "conditions", "current-metrics")


def _note(text: str | None) -> Any:
    """Read an annotation; one that is not JSON is as good as none."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _capitalized(value: Any) -> Any:
    return _renamed(value, str.upper)


def _lowered(value: Any) -> Any:
    return _renamed(value, str.lower)


def _renamed(value: Any, case: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {case(key[:1]) + key[1:]: _renamed(item, case) for key, item in value.items()}
    return [_renamed(item, case) for item in value] if isinstance(value, list) else value


OLDER: Mapping[str, Older] = {
    "events.Event": Older("core.Event", event_to_core, event_from_core),
    "autoscaling.v1.HorizontalPodAutoscaler": Older(
        "autoscaling.v2.HorizontalPodAutoscaler", autoscaler_to_v2, autoscaler_to_v1, has_defaults=True
    ),
}
"""Message that is served → how it is stored."""
