"""HorizontalPodAutoscalers: the primary's copy of the target's, and the size at which a target starts."""

from __future__ import annotations

import copy

from flagger.api.canary import Canary
from flagger.kube.apply import ensure
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing
from flagger.kube.objects import HPA, Object, labels_of
from flagger.workloads.base import TargetError
from flagger.workloads.metadata import stripped

_HPA = "HorizontalPodAutoscaler"
_COPIED = ("minReplicas", "maxReplicas", "metrics", "behavior")


async def ensure_primary_scaler(cluster: Cluster, canary: Canary, *, update: bool) -> None:
    """Create the primary's autoscaler if it is missing; `update` also copies the target's settings again.

    Raises:
        TargetError: the target's autoscaler does not exist, or the cluster has none of this version.
    """
    reference = canary.spec.autoscaler_ref
    if reference is None or reference.kind != _HPA:
        return
    name = f"{reference.name}-primary"
    live = await _scaler(cluster, canary, name)
    if live is not None and not update:
        return
    source = await _scaler(cluster, canary, reference.name)
    if source is None:
        raise TargetError(
            f"{_HPA} {reference.name}.{canary.namespace} get query error: "
            f'horizontalpodautoscalers.autoscaling "{reference.name}" not found'
        )
    desired = _primary_scaler(canary, source, name)
    if live is not None:
        del desired["metadata"]["ownerReferences"]  # set once: one that was there before us is not adopted
    await ensure(cluster, HPA, desired)


async def working_size(cluster: Cluster, canary: Canary, primary: Object | None) -> int:
    """The replicas that a parked target starts with: its autoscaler's minimum, else the primary's size.

    Raises:
        TargetError: the cluster has no autoscalers of this version.
    """
    reference = canary.spec.autoscaler_ref
    if reference is None:
        return int((primary or {}).get("spec", {}).get("replicas") or 1)
    if reference.kind != _HPA:
        return 1
    scaler = await _scaler(cluster, canary, reference.name)
    return max(1, int((scaler or {}).get("spec", {}).get("minReplicas") or 1))


async def _scaler(cluster: Cluster, canary: Canary, name: str) -> Object | None:
    try:
        return await cluster.get(HPA, canary.namespace, name)
    except KindMissing as error:
        raise TargetError(
            f"{_HPA} {name}.{canary.namespace} can't be read: this cluster doesn't serve {HPA.api_version} "
            "(Kubernetes 1.23 and newer do); upgrade it or remove spec.autoscalerRef"
        ) from error


def _primary_scaler(canary: Canary, source: Object, name: str) -> Object:
    """The primary's autoscaler; a setting that the target's doesn't have is None."""
    reference = canary.spec.autoscaler_ref
    spec = {field: copy.deepcopy(source["spec"].get(field)) for field in _COPIED}
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
