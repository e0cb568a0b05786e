"""Rules of the kinds that make pods, and of autoscalers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.causes import (
    Cause,
    forbidden,
    invalid,
    not_supported,
    required,
)
from flagger.sandbox.apiserver.types.rules import pods
from flagger.sandbox.apiserver.types.rules.base import (
    IMMUTABLE,
    Object,
    go_int_or_string,
    go_labels,
    go_selector,
    invalid_go,
    is_zero,
    not_above_all,
    not_negative,
    one_of,
    selector,
    selects,
    share,
)

MISMATCH = "`selector` does not match template `labels`"
EMPTY_SELECTOR = "empty selector is invalid for {kind}"


def _selected_template(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check selector and template, and that the selector stays."""
    spec = obj["spec"]
    chosen = spec.get("selector")
    broken: list[Cause] = []
    if chosen is None:
        yield required("spec.selector")
    elif not chosen:
        yield invalid_go("spec.selector", go_selector(chosen), EMPTY_SELECTOR.format(kind=_word(obj)))
    else:
        broken = list(selector(chosen, "spec.selector"))
        yield from broken
        if broken:
            yield invalid_go("spec.selector", go_selector(chosen), "invalid label selector.")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if chosen is None or (chosen and not broken and not selects(chosen, labels)):
        yield invalid_go("spec.template.metadata.labels", go_labels(labels), MISMATCH)
    yield from pods.template(spec["template"], "spec.template")
    restart = (spec["template"].get("spec") or {}).get("restartPolicy")
    if restart != "Always":
        yield not_supported("spec.template.spec.restartPolicy", restart, ("Always",))
    if old is not None and old["spec"].get("selector") != chosen:
        yield invalid_go("spec.selector", go_selector(chosen), IMMUTABLE)


def _word(obj: Object) -> str:
    return str(obj["kind"]).lower()


def deployment(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a deployment."""
    spec = obj["spec"]
    yield from not_negative(spec, "spec", "replicas")
    yield from _selected_template(obj, old)
    yield from _deployment_strategy(spec["strategy"])
    yield from not_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from not_negative(spec, "spec", "progressDeadlineSeconds")
        if deadline <= spec.get("minReadySeconds", 0):
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _deployment_strategy(strategy: Mapping[str, Any]) -> Iterator[Cause]:
    field, kind = "spec.strategy", strategy.get("type")
    rolling = strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden(
                f"{field}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"
            )
    elif kind != "RollingUpdate":
        yield not_supported(f"{field}.type", kind, ("Recreate", "RollingUpdate"))
    elif rolling is not None:
        yield from _rolling_update(rolling, f"{field}.rollingUpdate")


def _rolling_update(rolling: Mapping[str, Any], field: str) -> Iterator[Cause]:
    missing, surplus = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    yield from share(missing, f"{field}.maxUnavailable")
    yield from share(surplus, f"{field}.maxSurge")
    if is_zero(missing) and is_zero(surplus):
        shown = go_int_or_string(missing)
        yield invalid_go(f"{field}.maxUnavailable", shown, "may not be 0 when `maxSurge` is 0")
    yield from not_above_all(missing, f"{field}.maxUnavailable")


def replica_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a replica set."""
    yield from not_negative(obj["spec"], "spec", "replicas", "minReadySeconds")
    yield from _selected_template(obj, old)


def daemon_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a daemon set."""
    spec = obj["spec"]
    yield from _selected_template(obj, old)
    yield from not_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit")
    strategy = spec["updateStrategy"]
    if strategy.get("type") not in {"RollingUpdate", "OnDelete"}:
        yield not_supported("spec.updateStrategy", strategy.get("type"), ("RollingUpdate", "OnDelete"))
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "RollingUpdate" and rolling is not None:
        yield from _daemon_rolling_update(rolling, "spec.updateStrategy.rollingUpdate")


def _daemon_rolling_update(rolling: Mapping[str, Any], field: str) -> Iterator[Cause]:
    missing, surplus = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    yield from share(missing, f"{field}.maxUnavailable")
    yield from share(surplus, f"{field}.maxSurge")
    yield from not_above_all(missing, f"{field}.maxUnavailable")
    if is_zero(missing) and (surplus is None or is_zero(surplus)):
        yield required(f"{field}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif surplus is not None and not is_zero(surplus) and not is_zero(missing):
        yield invalid(f"{field}.maxSurge", surplus, "may not be set when maxUnavailable is non-zero")


STATEFUL_FREE = frozenset(
    {
        *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
        *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
    }
)
STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def stateful_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a stateful set; most of it cannot change."""
    spec = obj["spec"]
    yield from not_negative(spec, "spec", "replicas", "minReadySeconds")
    yield from _selected_template(obj, None)
    yield from one_of(spec, "spec", "podManagementPolicy", ("OrderedReady", "Parallel"))
    yield from one_of(spec["updateStrategy"], "spec.updateStrategy", "type", ("RollingUpdate", "OnDelete"))
    if old is not None and _without(old["spec"], STATEFUL_FREE) != _without(spec, STATEFUL_FREE):
        yield forbidden("spec", STATEFUL_TEXT)


def _without(spec: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in names}


def replication_controller(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a replication controller."""
    spec = obj["spec"]
    yield from not_negative(spec, "spec", "replicas", "minReadySeconds")
    if not spec.get("selector"):
        yield required("spec.selector")
    if "template" not in spec:
        yield required("spec.template")
        return
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not selects({"matchLabels": spec.get("selector") or {}}, labels):
        yield invalid_go("spec.template.metadata.labels", go_labels(labels), MISMATCH)
    yield from pods.template(spec["template"], "spec.template")


def job(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a job; its pods are settled when it is made."""
    yield from _job_spec(obj["spec"], "spec")
    if old is None:
        yield from _generated_selector(obj)
        return
    if old["spec"].get("completions") != obj["spec"].get("completions"):
        yield invalid("spec.completions", obj["spec"].get("completions"), IMMUTABLE)
    if old["spec"].get("selector") != obj["spec"].get("selector"):
        yield invalid_go("spec.selector", go_selector(obj["spec"].get("selector")), IMMUTABLE)
    if old["spec"]["template"] != obj["spec"]["template"]:
        yield invalid_go("spec.template", "core.PodTemplateSpec{…}", IMMUTABLE)


def _job_spec(spec: Mapping[str, Any], field: str) -> Iterator[Cause]:
    numbers = (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    )
    yield from not_negative(spec, field, *numbers)
    yield from pods.template(spec["template"], f"{field}.template")
    restart = spec["template"]["spec"].get("restartPolicy")
    # A template without one has got "Always", which a job cannot have: the answer is that it is missing.
    if restart == "Always":
        yield required(f"{field}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif restart not in {"OnFailure", "Never"}:
        yield not_supported(f"{field}.template.spec.restartPolicy", restart, ("OnFailure", "Never"))


def _generated_selector(obj: Object) -> Iterator[Cause]:
    spec, uid = obj["spec"], obj["metadata"].get("uid", "")
    if spec.get("manualSelector"):
        return
    chosen = spec.get("selector") or {}
    labels = spec["template"]["metadata"].get("labels") or {}
    own = {("controller-uid", uid), ("batch.kubernetes.io/controller-uid", uid)}
    if not own & set((chosen.get("matchLabels") or {}).items()):
        yield invalid_go("spec.selector", go_selector(chosen), "`selector` not auto-generated")
    elif not selects(chosen, labels):
        yield invalid_go("spec.template.metadata.labels", go_labels(labels), MISMATCH)


def cron_job(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a cron job."""
    spec = obj["spec"]
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        found = len(schedule.split())
        yield invalid("spec.schedule", schedule, f"expected exactly 5 fields, found {found}: [{schedule}]")
    yield from one_of(spec, "spec", "concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    yield from not_negative(spec, "spec", "startingDeadlineSeconds", "successfulJobsHistoryLimit")
    yield from _job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec")


METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")


def autoscaler(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check an autoscaler of any version."""
    spec = obj["spec"]
    most, least = spec.get("maxReplicas", 0), spec.get("minReplicas")
    if least is not None and least < _fewest(spec):
        yield invalid("spec.minReplicas", least, f"must be greater than or equal to {_fewest(spec)}")
    if least == 0 and _fewest(spec):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", text)
    if most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    yield from (required(f"spec.scaleTargetRef.{name}") for name in ("kind", "name") if not target.get(name))
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is not None and percent < 1:
        yield invalid("spec.targetCPUUtilizationPercentage", percent, "must be greater than 0")
    yield from _metrics(spec.get("metrics") or ())


def _fewest(spec: Mapping[str, Any]) -> int:
    """Return the least minReplicas: zero only makes sense with metrics that do not need pods."""
    return 0 if any(item.get("type") in {"Object", "External"} for item in spec.get("metrics") or ()) else 1


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    for index, metric in enumerate(metrics):
        field, kind = f"spec.metrics[{index}]", metric.get("type")
        if not kind:
            yield required(f"{field}.type", "must specify a metric source type")
        elif kind not in METRIC_TYPES:
            yield not_supported(f"{field}.type", kind, METRIC_TYPES)
        else:
            yield from _metric_source(metric, kind, field)


def _metric_source(metric: Mapping[str, Any], kind: str, field: str) -> Iterator[Cause]:
    name = kind[0].lower() + kind[1:]
    source = metric.get(name)
    if source is None:
        yield required(f"{field}.{name}", "must populate information for the given metric source")
        return
    if kind in {"Resource", "ContainerResource"}:
        if not source.get("name"):
            yield required(f"{field}.{name}.name", "must specify a resource name")
        yield from _resource_target(source.get("target") or {}, f"{field}.{name}.target")
    elif not (source.get("metric") or {}).get("name"):
        yield required(f"{field}.{name}.metric.name", "must specify a metric name")


def _resource_target(target: Mapping[str, Any], field: str) -> Iterator[Cause]:
    utilization = target.get("averageUtilization")
    if utilization is None and "averageValue" not in target:
        text = "must set either a target raw value or a target utilization"
        yield required(f"{field}.averageUtilization", text)
    if utilization is not None and utilization < 1:
        yield invalid(f"{field}.averageUtilization", utilization, "must be greater than 0")
