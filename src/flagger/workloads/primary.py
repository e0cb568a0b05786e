"""The primary as it is made from the target: names and labels changed, so that both can live. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from flagger.api.canary import Canary
from flagger.api.names import PRIMARY_ID, RELEASE_GROUP
from flagger.kube.objects import Object, annotations_of, labels_of
from flagger.rollout.state import Selector
from flagger.workloads.base import Options
from flagger.workloads.metadata import pod_annotations, pod_labels, stripped, with_prefix

REVISION = f"{RELEASE_GROUP}/revision"
"""On the primary: the hash of the target revision that it runs."""

PREVIOUS_REVISION = f"{RELEASE_GROUP}/previous-revision"
"""On the primary: the hash that it ran before the last promotion."""

PREVIOUS_ID = f"{RELEASE_GROUP}/previous-id"
"""On the primary: the `flagger-id` of the template that it had before the last promotion."""

_COPIED = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")


def new_primary(
    canary: Canary, target: Object, selector: Selector, options: Options, identity: str
) -> Object:
    """A Deployment that serves what the target holds."""
    spec = target["spec"]
    labels = with_prefix(labels_of(target), options.prefixes)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": canary.primary_name,
            "namespace": canary.namespace,
            "labels": {**labels, selector.label: selector.primary},
            "annotations": stripped(annotations_of(target)),
            "ownerReferences": [canary.owner_reference],
        },
        "spec": {
            **{field: copy.deepcopy(spec[field]) for field in _COPIED if field in spec},
            "replicas": spec.get("replicas") or 1,
            "selector": {"matchLabels": {selector.label: selector.primary}},
            "template": primary_template(canary, target, selector, options, identity),
        },
    }


def promoted_spec(
    canary: Canary, target: Object, selector: Selector, options: Options, identity: str
) -> Object:
    """The fields of the primary's spec that follow the target's at a promotion; an absent one is None.

    With an autoscaler the number of replicas is the autoscaler's business.
    """
    spec = target["spec"]
    template = primary_template(canary, target, selector, options, identity)
    fields: Object = {**{field: copy.deepcopy(spec.get(field)) for field in _COPIED}, "template": template}
    if canary.spec.autoscaler_ref is None and spec.get("replicas"):
        fields["replicas"] = spec["replicas"]
    return fields


def primary_template(
    canary: Canary, target: Object, selector: Selector, options: Options, identity: str
) -> Object:
    """The target's pod template under the primary's label, with a fresh identity so that its pods roll."""
    template: Object = copy.deepcopy(target["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = pod_labels(metadata.get("labels") or {}, selector)
    metadata["annotations"] = pod_annotations(metadata.get("annotations") or {}, identity)
    names = {canary.target_name, selector.value}
    for label_selector in _scheduling_selectors(template.get("spec") or {}):
        _rename(label_selector, names, {selector.label, *options.labels})
    return template


def identity_of(template: Object) -> str:
    """The identity that a template got when it was copied; empty if it is no copy."""
    return str((template.get("metadata", {}).get("annotations") or {}).get(PRIMARY_ID, ""))


def _scheduling_selectors(pod: Object) -> Iterator[Object]:
    """The selectors by which pods of the same workload are spread or kept apart."""
    for constraint in pod.get("topologySpreadConstraints") or ():
        yield constraint.get("labelSelector") or {}
    anti: Mapping[str, Any] = (pod.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        yield term.get("labelSelector") or {}
    for weighted in anti.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield weighted.get("podAffinityTerm", {}).get("labelSelector") or {}


def _rename(selector: Object, names: set[str], keys: set[str]) -> None:
    """Point a selector that means the target's pods at the primary's."""
    labels = selector.get("matchLabels") or {}
    for key in keys & labels.keys():
        if labels[key] in names:
            labels[key] = f"{labels[key]}-primary"
    for expression in selector.get("matchExpressions") or ():
        if expression.get("key") not in keys:
            continue
        values = expression.get("values") or []
        first = next((index for index, value in enumerate(values) if value in names), None)
        if first is not None:
            values[first] = f"{values[first]}-primary"
