"""Columns of workloads: deployments and their like, pods, jobs, autoscalers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.tables.base import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Cell,
    Column,
    Object,
    at,
    duration,
    labels,
    member,
    parse_time,
    selector,
    wide,
)


def _text(make: Callable[[Object], Any]) -> Cell:
    return lambda obj, _now: make(obj)


def number(*path: str) -> Cell:
    """A cell with a counter that is left out when it is zero."""
    return at(*path, default=0)


def _containers(obj: Object, name: str) -> str:
    return ",".join(
        item.get(name, "") for item in member(obj, "spec", "template", "spec", "containers") or ()
    )


TEMPLATE = (
    wide(
        "Containers", _text(lambda obj: _containers(obj, "name")), "Names of the containers in the template."
    ),
    wide("Images", _text(lambda obj: _containers(obj, "image")), "Images of the containers in the template."),
    wide("Selector", _text(lambda obj: selector(member(obj, "spec", "selector"))), "Selector of the pods."),
)


def integer(name: str, *path: str) -> Column:
    """A column of whole numbers."""
    return Column(name, number(*path), "integer")


def _ready(obj: Object) -> str:
    return f"{member(obj, 'status', 'readyReplicas') or 0}/{member(obj, 'spec', 'replicas') or 0}"


DEPLOYMENT = (
    NAME,
    Column("Ready", _text(_ready), description="Number of the pod with ready state"),
    Column("Up-to-date", number("status", "updatedReplicas")),
    Column("Available", number("status", "availableReplicas")),
    AGE,
    *TEMPLATE,
)
REPLICA_SET = (
    NAME,
    integer("Desired", "spec", "replicas"),
    integer("Current", "status", "replicas"),
    integer("Ready", "status", "readyReplicas"),
    AGE,
    *TEMPLATE,
)
REPLICATION_CONTROLLER = (
    *REPLICA_SET[:-1],
    wide("Selector", _text(lambda obj: labels(member(obj, "spec", "selector")))),
)
STATEFUL_SET = (NAME, Column("Ready", _text(_ready)), AGE, *TEMPLATE[:2])
DAEMON_SET = (
    NAME,
    integer("Desired", "status", "desiredNumberScheduled"),
    integer("Current", "status", "currentNumberScheduled"),
    integer("Ready", "status", "numberReady"),
    integer("Up-to-date", "status", "updatedNumberScheduled"),
    integer("Available", "status", "numberAvailable"),
    Column(
        "Node Selector", _text(lambda obj: labels(member(obj, "spec", "template", "spec", "nodeSelector")))
    ),
    AGE,
    *TEMPLATE,
)


def _completions(job: Object) -> str:
    succeeded = member(job, "status", "succeeded") or 0
    completions, parallelism = member(job, "spec", "completions"), member(job, "spec", "parallelism") or 0
    if completions is not None:
        return f"{succeeded}/{completions}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Object, now: datetime) -> str:
    start = parse_time(member(job, "status", "startTime"))
    end = parse_time(member(job, "status", "completionTime"))
    return duration((end or now) - start) if start else ""


JOB = (
    NAME,
    Column("Completions", _text(_completions)),
    Column("Duration", _job_duration, description="Time the job has taken."),
    AGE,
    *TEMPLATE,
)


def _last_schedule(cron: Object, now: datetime) -> str:
    last = parse_time(member(cron, "status", "lastScheduleTime"))
    return duration(now - last) if last else NONE


CRON_JOB = (
    NAME,
    Column("Schedule", at("spec", "schedule")),
    Column("Suspend", _text(lambda cron: str(bool(member(cron, "spec", "suspend"))).capitalize()), "boolean"),
    Column("Active", _text(lambda cron: len(member(cron, "status", "active") or ())), "integer"),
    Column("Last Schedule", _last_schedule),
    AGE,
)


def _current(current: Any, target: Any, unit: str = "") -> str:
    return f"{UNKNOWN if current is None else f'{current}{unit}'}/{target}{unit}"


def _metric_source(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = metric.get("type", "")
    source: Mapping[str, Any] = metric.get(kind[:1].lower() + kind[1:]) or {}
    return source


def _metric_text(metric: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    target = _metric_source(metric).get("target") or {}
    current = _metric_source(status).get("current") or {}
    if "averageUtilization" in target:
        return _current(current.get("averageUtilization"), target["averageUtilization"], "%")
    if "averageValue" in target:
        average = " (avg)" if metric.get("type") in {"Object", "External"} else ""
        return _current(current.get("averageValue"), target["averageValue"]) + average
    return _current(current.get("value"), target.get("value", UNKNOWN))


def _targets(scaler: Object) -> str:
    metrics: Sequence[Any] = member(scaler, "spec", "metrics") or ()
    statuses: Sequence[Any] = member(scaler, "status", "currentMetrics") or ()
    if not metrics:
        return _v1_target(scaler)
    padded = [*statuses, *({} for _ in metrics)]
    shown = [_metric_text(metric, status) for metric, status in zip(metrics[:2], padded, strict=False)]
    more = f" + {len(metrics) - 2} more..." if len(metrics) > 2 else ""
    return ", ".join(shown) + more


def _v1_target(scaler: Object) -> str:
    percent = member(scaler, "spec", "targetCPUUtilizationPercentage")
    if percent is None:
        return NONE
    return _current(member(scaler, "status", "currentCPUUtilizationPercentage"), percent, "%")


def _scaled(scaler: Object) -> str:
    target = member(scaler, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _fewest(scaler: Object) -> str:
    least = member(scaler, "spec", "minReplicas")
    return "<unset>" if least is None else str(least)


AUTOSCALER = (
    NAME,
    Column("Reference", _text(_scaled)),
    Column("Targets", _text(_targets)),
    Column("MinPods", _text(_fewest)),
    Column("MaxPods", number("spec", "maxReplicas")),
    Column("Replicas", number("status", "currentReplicas")),
    AGE,
)
