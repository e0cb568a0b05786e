"""HorizontalPodAutoscalers: the primary's copy of the target's, and the size at which a target starts."""

from __future__ import annotations

import copy

from flagger.api.canary import Canary
from flagger.kube.apply import ensure
from flagger.kube.cluster import Cluster
from flagger.kube.objects import HPA, Object, labels_of
from flagger.workloads.base import TargetError
from flagger.workloads.metadata import stripped

_HPA = "HorizontalPodAutoscaler"
_COPIED = ("minReplicas", "maxReplicas", "metrics", "behavior")


async def ensure_primary_scaler(cluster: Cluster, canary: Canary, *, update: bool) -> None:
    """Create the primary's autoscaler if it is missing; `update` also copies the target's settings again.

    Raises:
        TargetError: the target's autoscaler does not exist.
    """
    reference = canary.spec.autoscaler_ref
    if reference is None or reference.kind != _HPA:
        return
    name = f"{reference.name}-primary"
    if not update and await cluster.get(HPA, canary.namespace, name) is not None:
        return
    source = await cluster.get(HPA, canary.namespace, reference.name)
    if source is None:
        raise TargetError(
            f"{_HPA} {reference.name}.{canary.namespace} get query error: "
            f'horizontalpodautoscalers.autoscaling "{reference.name}" not found'
        )
    await ensure(cluster, HPA, _primary_scaler(canary, source, name))


async def working_size(cluster: Cluster, canary: Canary, primary: Object | None) -> int:
    """The replicas that a parked target starts with: its autoscaler's minimum, else the primary's size."""
    reference = canary.spec.autoscaler_ref
    if reference is None:
        return int((primary or {}).get("spec", {}).get("replicas") or 1)
    if reference.kind != _HPA:
        return 1
    scaler = await cluster.get(HPA, canary.namespace, reference.name)
    return max(1, int((scaler or {}).get("spec", {}).get("minReplicas") or 1))


def _primary_scaler(canary: Canary, source: Object, name: str) -> Object:
    reference = canary.spec.autoscaler_ref
    spec = {field: copy.deepcopy(source["spec"][field]) for field in _COPIED if field in source["spec"]}
    limits = reference.primary_scaler_replicas if reference else None
    if limits and limits.min_replicas:
        spec["minReplicas"] = limits.min_replicas
    if limits and limits.max_replicas:
        spec["maxReplicas"] = limits.max_replicas
    spec["scaleTargetRef"] = {**source["spec"]["scaleTargetRef"], "name": canary.primary_name}
    return {
        "apiVersion": HPA.api_version,
        "kind": _HPA,
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": stripped(labels_of(source)),
            "ownerReferences": [canary.owner_reference],
        },
        "spec": spec,
    }
