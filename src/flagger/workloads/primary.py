"""The primary as it is made from the target: names and labels changed, so that both can live. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flagger.api.canary import Canary
from flagger.api.names import PRIMARY_ID, RELEASE_GROUP
from flagger.kube.objects import Object, annotations_of, labels_of
from flagger.rollout.state import Selector
from flagger.workloads.base import Options
from flagger.workloads.metadata import pod_annotations, pod_labels, stripped, with_prefix
from flagger.workloads.references import redirect

REVISION = f"{RELEASE_GROUP}/revision"
"""On the primary: the hash of the target revision that it runs."""

PREVIOUS_REVISION = f"{RELEASE_GROUP}/previous-revision"
"""On the primary: the hash that it ran before the last promotion."""

PREVIOUS_ID = f"{RELEASE_GROUP}/previous-id"
"""On the primary: the `flagger-id` of the template that it had before the last promotion."""

CONFIGS = f"{RELEASE_GROUP}/configs"
"""On the primary: keys and checksums of the ConfigMaps and Secrets that its copies hold."""

PREVIOUS_CONFIGS = f"{RELEASE_GROUP}/previous-configs"
"""On the primary: what its copies held before the last promotion."""

PROMOTED_BY = f"{RELEASE_GROUP}/promoted-by-run"
"""On the primary: number of the run that promoted it last; only that run may take it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a primary is made from.

    `fields` are those of the target's spec that it shares, `identity` makes its pods roll, `tracked` are the
    keys of the ConfigMaps and Secrets that it has copies of.
    """

    canary: Canary
    target: Object
    selector: Selector
    options: Options
    identity: str
    fields: Sequence[str]
    tracked: Collection[str] = ()


def new_primary(draft: Draft) -> Object:
    """A workload that serves what the target holds; Deployments also get a size."""
    canary, target, selector = draft.canary, draft.target, draft.selector
    spec = target["spec"]
    labels = with_prefix(labels_of(target), draft.options.prefixes)
    return {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "metadata": {
            "name": canary.primary_name,
            "namespace": canary.namespace,
            "labels": {**labels, selector.label: selector.primary},
            "annotations": stripped(annotations_of(target)),
            "ownerReferences": [canary.owner_reference],
        },
        "spec": {
            **{field: copy.deepcopy(spec[field]) for field in draft.fields if field in spec},
            "selector": {"matchLabels": {selector.label: selector.primary}},
            "template": primary_template(draft),
        },
    }


def promoted_spec(draft: Draft) -> Object:
    """The fields of the primary's spec that follow the target's at a promotion; an absent one is None."""
    spec = draft.target["spec"]
    return {
        **{field: copy.deepcopy(spec.get(field)) for field in draft.fields},
        "template": primary_template(draft),
    }


def primary_template(draft: Draft) -> Object:
    """The target's pod template under the primary's label, with a fresh identity so that its pods roll."""
    selector, options = draft.selector, draft.options
    template: Object = copy.deepcopy(draft.target["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = pod_labels(metadata.get("labels") or {}, selector)
    metadata["annotations"] = pod_annotations(metadata.get("annotations") or {}, draft.identity)
    names = {draft.canary.target_name, selector.value}
    for label_selector in _scheduling_selectors(template.get("spec") or {}):
        _rename(label_selector, names, {selector.label, *options.labels})
    redirect(template, draft.tracked)
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
