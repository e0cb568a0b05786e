"""Autoscalers: the primary's copy of the target's, the size at which a target starts, and its rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flagger.api.canary import Canary
from flagger.kube.apply import without_nones
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing, NotFound
from flagger.kube.objects import Kind, Object, annotations_of
from flagger.rollout.state import Autoscaling
from flagger.workloads.base import TargetError
from flagger.workloads.floors import held_patch, is_contested, maximum_of, released
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


KEDA_MAXIMUM = 100  # pods, where a ScaledObject names no maximum

SCALERS: Mapping[str, Scaler] = {"HorizontalPodAutoscaler": Hpa(), "ScaledObject": Keda()}


async def ensure_primary_scaler(cluster: Cluster, canary: Canary, *, update: bool, floor: int = 0) -> None:
    """Create the primary's autoscaler if it is missing; `update` also copies the target's settings again.

    Its minimum is at least `floor`; 0 leaves the copied one.

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
        await _settle(cluster, kind, live, scaler, floor)
        return
    kind, source = await _find(cluster, canary, scaler, reference.name)
    if source is None:
        raise TargetError(
            f"{scaler.noun} {reference.name}.{canary.namespace} get query error: "
            f'{kind.resource} "{reference.name}" not found'
        )
    source = released(source, scaler.minimum)
    spec = _limited(canary, scaler, scaler.spec(canary, source))
    if live is not None:
        await _settle(cluster, kind, live, scaler, floor, spec)
        return
    metadata = {"name": name, "namespace": canary.namespace, **scaler.metadata(source)}
    made = {"metadata": {**metadata, "ownerReferences": canary.owner_references}, "spec": spec}
    await cluster.create(kind, without_nones(made))


async def primary_scaler(cluster: Cluster, canary: Canary) -> tuple[Kind, Object] | None:
    """The primary's autoscaler and its kind, if there is one that can be read."""
    try:
        found = await _scaler_of(cluster, canary, primary=True)
    except TargetError:
        return None
    return None if found is None else found[1:]


async def hold_target(cluster: Cluster, canary: Canary, floor: int) -> None:
    """Have the target's autoscaler, if there is one, keep at least `floor` pods; 0 gives it its own minimum back.

    A minimum that somebody took back is not raised again in the same run.
    """
    found = await _scaler_of(cluster, canary, primary=False)
    if found is None:
        return
    scaler, kind, live = found
    if not (floor and is_contested(live, scaler.minimum)):
        await _settle(cluster, kind, live, scaler, floor)


async def autoscaling_of(cluster: Cluster, canary: Canary, *, primary: bool) -> Autoscaling | None:
    """How far a side's autoscaler may go; None where it has none that can be read."""
    try:
        found = await _scaler_of(cluster, canary, primary=primary)
    except TargetError:
        return None
    if found is None:
        return None
    scaler, _, live = found
    most = int(live["spec"].get(maximum_of(scaler.minimum)) or KEDA_MAXIMUM)
    return Autoscaling(most, contested=not primary and is_contested(live, scaler.minimum))


async def _scaler_of(
    cluster: Cluster, canary: Canary, *, primary: bool
) -> tuple[Scaler, Kind, Object] | None:
    reference = canary.spec.autoscaler_ref
    scaler = SCALERS.get(reference.kind) if reference else None
    if reference is None or scaler is None:
        return None
    name = f"{reference.name}-primary" if primary else reference.name
    kind, live = await _find(cluster, canary, scaler, name)
    return None if live is None else (scaler, kind, live)


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
    """Keep the target's autoscaler, with its own minimum, from waking a parked target; one that is gone is still."""
    await hold_target(cluster, canary, 0)
    await _annotate(cluster, canary, paused=True)


async def resume_scaler(cluster: Cluster, canary: Canary) -> None:
    """Let the target's autoscaler work again, with its own minimum."""
    await hold_target(cluster, canary, 0)
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


async def _settle(
    cluster: Cluster, kind: Kind, live: Object, scaler: Scaler, floor: int, spec: Object | None = None
) -> None:
    """Replace the settings, if there are new ones, and hold the minimum; other metadata is left alone."""
    patch = held_patch(live, scaler.minimum, floor, spec)
    if not patch:
        return
    try:
        await cluster.patch(kind, live["metadata"]["name"], live["metadata"]["namespace"], patch)
    except NotFound:  # deleted a moment ago
        return


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
        maximum_of(scaler.minimum): limits.max_replicas if limits else None,
    }
    return spec | {field: number for field, number in given.items() if number}
