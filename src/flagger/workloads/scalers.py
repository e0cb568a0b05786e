"""Autoscalers: the primary's copy of the target's, the size at which a target starts, and its rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flagger.api.canary import Canary
from flagger.kube.apply import merge_patch, without_nones
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing, NotFound
from flagger.kube.objects import Kind, Object, annotations_of
from flagger.workloads.base import TargetError
from flagger.workloads.hpa import Hpa
from flagger.workloads.scaled_object import Keda


class Scaler(Protocol):
    """One kind of autoscaler.

    `kinds` are its API versions, the best first, `noun` is its name in messages, `minimum` the field with the
    least number of pods (the greatest begins with max), `parked` the annotation that keeps it still, if it
    needs one.
    """

    kinds: tuple[Kind, ...]
    noun: str
    minimum: str
    parked: tuple[str, str] | None

    def spec(self, canary: Canary, source: Object) -> Object:
        """The settings of the primary's copy of `source`."""

    def metadata(self, source: Object) -> Object:
        """Labels and annotations of a new copy."""


SCALERS: Mapping[str, Scaler] = {"HorizontalPodAutoscaler": Hpa(), "ScaledObject": Keda()}


async def ensure_primary_scaler(cluster: Cluster, canary: Canary, *, update: bool) -> None:
    """Create the primary's autoscaler if it is missing; `update` also copies the target's settings again.

    Raises:
        TargetError: the target's autoscaler does not exist, or the cluster has none of this kind.
    """
    reference = canary.spec.autoscaler_ref
    scaler = SCALERS.get(reference.kind) if reference else None
    if reference is None or scaler is None:
        return
    name = f"{reference.name}-primary"
    kind, live = await _find(cluster, canary, scaler, name)
    if live is not None and not update:
        return
    kind, source = await _find(cluster, canary, scaler, reference.name)
    if source is None:
        raise TargetError(
            f"{scaler.noun} {reference.name}.{canary.namespace} get query error: "
            f'{kind.resource} "{reference.name}" not found'
        )
    spec = _limited(canary, scaler, scaler.spec(canary, source))
    if live is not None:
        await _update(cluster, kind, live, spec)
        return
    metadata = {"name": name, "namespace": canary.namespace, **scaler.metadata(source)}
    made = {"metadata": {**metadata, "ownerReferences": [canary.owner_reference]}, "spec": spec}
    await cluster.create(kind, without_nones(made))


async def working_size(cluster: Cluster, canary: Canary, primary: Object | None) -> int:
    """The replicas that a parked target starts with: its autoscaler's minimum, else the primary's size.

    Raises:
        TargetError: the cluster has no autoscalers of this kind.
    """
    reference = canary.spec.autoscaler_ref
    if reference is None:
        return int((primary or {}).get("spec", {}).get("replicas") or 1)
    scaler = SCALERS.get(reference.kind)
    if scaler is None:
        return 1
    _, found = await _find(cluster, canary, scaler, reference.name)
    return max(1, int((found or {}).get("spec", {}).get(scaler.minimum) or 1))


async def pause_scaler(cluster: Cluster, canary: Canary) -> None:
    """Keep the target's autoscaler from waking a parked target; one that is gone is still enough."""
    await _annotate(cluster, canary, paused=True)


async def resume_scaler(cluster: Cluster, canary: Canary) -> None:
    """Let the target's autoscaler work again."""
    await _annotate(cluster, canary, paused=False)


async def _annotate(cluster: Cluster, canary: Canary, *, paused: bool) -> None:
    reference = canary.spec.autoscaler_ref
    scaler = SCALERS.get(reference.kind) if reference else None
    if reference is None or scaler is None or scaler.parked is None:
        return
    kind, found = await _find(cluster, canary, scaler, reference.name)
    key, value = scaler.parked
    wanted = value if paused else None
    if found is None or annotations_of(found).get(key) == wanted:
        return
    body = {"metadata": {"annotations": {key: wanted}}}
    try:
        await cluster.patch(kind, reference.name, canary.namespace, body)
    except NotFound:  # deleted a moment ago
        return


async def _update(cluster: Cluster, kind: Kind, live: Object, spec: Object) -> None:
    """Replace the settings; metadata is as at its creation, or somebody else's."""
    patch = merge_patch(live["spec"], spec)
    if patch:
        await cluster.patch(kind, live["metadata"]["name"], live["metadata"]["namespace"], {"spec": patch})


async def _find(cluster: Cluster, canary: Canary, scaler: Scaler, name: str) -> tuple[Kind, Object | None]:
    """An autoscaler in the best version that the server has."""
    for kind in scaler.kinds:
        try:
            return kind, await cluster.get(kind, canary.namespace, name)
        except KindMissing:
            continue
    versions = " or ".join(kind.api_version for kind in scaler.kinds)
    raise TargetError(
        f"{scaler.noun} {name}.{canary.namespace} can't be read: this cluster doesn't serve {versions}; "
        "install or upgrade what does, or remove spec.autoscalerRef"
    )


def _limited(canary: Canary, scaler: Scaler, spec: Object) -> Object:
    """The settings with the limits that the Canary names for the primary."""
    reference = canary.spec.autoscaler_ref
    limits = reference.primary_scaler_replicas if reference else None
    given = {
        scaler.minimum: limits.min_replicas if limits else None,
        scaler.minimum.replace("min", "max"): limits.max_replicas if limits else None,
    }
    return spec | {field: number for field, number in given.items() if number}
