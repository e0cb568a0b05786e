"""How the containers of built-in objects merge: for strategic merge patch and for server-side apply.

The two lists of keys differ on purpose: a strategic patch knows a port by one field, apply by two. Facts
from the public type definitions of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flagger.sandbox.apiserver.types.decoding import fields_of
from flagger.sandbox.apiserver.types.messages import Field

Path = tuple[str, ...]
"""Field names from the top of an object, without list indexes."""


@dataclass(frozen=True, slots=True)
class ListType:
    """How apply sees a container: lists are "atomic", "set" or "map", objects "atomic" or "granular".

    `keys` identify the elements of a "map"; `defaults` fill in keys that an element may leave out.
    """

    kind: str
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


ATOMIC = ListType("atomic")
GRANULAR = ListType("granular")
SET = ListType("set")
_TCP = {"protocol": "TCP"}

STRATEGIC: Mapping[str, str] = {
    "meta.ObjectMeta.ownerReferences": "uid",
    "meta.ObjectMeta.finalizers": "",
    "core.PodSpec.containers": "name",
    "core.PodSpec.initContainers": "name",
    "core.PodSpec.ephemeralContainers": "name",
    "core.PodSpec.imagePullSecrets": "name",
    "core.PodSpec.volumes": "name",
    "core.PodSpec.hostAliases": "ip",
    "core.PodSpec.topologySpreadConstraints": "topologyKey",
    "core.PodSpec.resourceClaims": "name",
    "core.PodSpec.schedulingGates": "name",
    "core.PodStatus.podIPs": "ip",
    "core.PodStatus.hostIPs": "ip",
    "core.PodStatus.resourceClaimStatuses": "name",
    "core.ContainerStatus.volumeMounts": "mountPath",
    "core.ServiceSpec.ports": "port",
    "core.ServiceAccount.secrets": "name",
    "core.NodeSpec.podCIDRs": "",
    "core.NodeStatus.addresses": "type",
}
"""List → merge key; an empty key merges scalars. Lists that are not here (or below) are replaced."""

STRATEGIC_IN_CONTAINERS: Mapping[str, str] = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}

CONDITIONS: frozenset[str] = frozenset(
    {
        *("apps.DaemonSetStatus", "apps.DeploymentStatus", "apps.ReplicaSetStatus", "apps.StatefulSetStatus"),
        *("core.NamespaceStatus", "core.NodeStatus", "core.PersistentVolumeClaimStatus", "core.PodStatus"),
        *("core.ReplicationControllerStatus", "core.ServiceStatus", "policy.PodDisruptionBudgetStatus"),
        *("autoscaling.v2.HorizontalPodAutoscalerStatus", "batch.JobStatus"),
    }
)
"""Statuses whose `conditions` merge by type."""

APPLY: Mapping[str, ListType] = {
    "meta.ObjectMeta.ownerReferences": ListType("map", ("uid",)),
    "meta.ObjectMeta.finalizers": SET,
    "core.PodSpec.containers": ListType("map", ("name",)),
    "core.PodSpec.initContainers": ListType("map", ("name",)),
    "core.PodSpec.ephemeralContainers": ListType("map", ("name",)),
    "core.PodSpec.imagePullSecrets": ListType("map", ("name",)),
    "core.PodSpec.volumes": ListType("map", ("name",)),
    "core.PodSpec.hostAliases": ListType("map", ("ip",)),
    "core.PodSpec.topologySpreadConstraints": ListType("map", ("topologyKey", "whenUnsatisfiable")),
    "core.PodSpec.resourceClaims": ListType("map", ("name",)),
    "core.PodSpec.schedulingGates": ListType("map", ("name",)),
    "core.PodStatus.podIPs": ListType("map", ("ip",)),
    "core.PodStatus.resourceClaimStatuses": ListType("map", ("name",)),
    "core.ContainerStatus.volumeMounts": ListType("map", ("mountPath",)),
    "core.ResourceRequirements.claims": ListType("map", ("name",)),
    "core.VolumeResourceRequirements.claims": ListType("map", ("name",)),
    "core.ServiceSpec.ports": ListType("map", ("port", "protocol"), _TCP),
    "core.ServiceAccount.secrets": ListType("map", ("name",)),
    "core.NodeSpec.podCIDRs": SET,
    "core.NodeStatus.addresses": ListType("map", ("type",)),
    "apiextensions.CustomResourceDefinitionStatus.conditions": ListType("map", ("type",)),
    "discovery.Endpoint.addresses": SET,
}
"""List → how apply merges it. Lists that are not here (or below) are atomic."""

APPLY_IN_CONTAINERS: Mapping[str, ListType] = {
    "env": ListType("map", ("name",)),
    "ports": ListType("map", ("containerPort", "protocol"), _TCP),
    "volumeMounts": ListType("map", ("mountPath",)),
    "volumeDevices": ListType("map", ("devicePath",)),
}

ATOMIC_MESSAGES: frozenset[str] = frozenset(
    {
        *("meta.LabelSelector", "core.ConfigMapKeySelector", "core.SecretKeySelector", "core.NodeSelector"),
        *("core.EndpointAddress", "core.EndpointPort", "core.LocalObjectReference", "core.NodeSelectorTerm"),
        *(
            "core.ObjectFieldSelector",
            "core.ObjectReference",
            "core.ResourceFieldSelector",
            "core.ScopeSelector",
        ),
        *("core.TypedLocalObjectReference", "core.FileKeySelector", "discovery.EndpointPort"),
        *("autoscaling.v1.CrossVersionObjectReference", "networking.ServiceBackendPort"),
        *("rbac.Subject", "rbac.RoleRef"),
    }
)
ATOMIC_MAPS: frozenset[str] = frozenset(
    {
        *(
            "core.PodSpec.nodeSelector",
            "core.ServiceSpec.selector",
            "core.ReplicationControllerSpec.selector",
        ),
        *(
            "discovery.Endpoint.deprecatedTopology",
            "core.PersistentVolumeClaimStatus.allocatedResourceStatuses",
        ),
    }
)


def _place(name: str, path: Path) -> tuple[str, Field] | None:
    """Return the message and field that a path ends at, or None below free-form JSON."""
    owner, field = name, None
    for part in path:
        if field is not None and field.container == "{}":
            owner, field = "", Field(0, part, field.type)  # the part is a key of the map
            continue
        if field is not None and not field.is_message:
            return None
        owner = field.type if field is not None else name
        field = fields_of(owner).get(part)
        if field is None:
            return None
    return (owner, field) if field is not None else None


@lru_cache(maxsize=8192)
def merge_key(name: str, path: Path) -> str | None:
    """Return the key by which a strategic patch merges the list; "" merges scalars, None replaces."""
    place = _place(name, path)
    if place is None:
        return None
    owner, field = place
    if field.name == "conditions" and owner in CONDITIONS:
        return "type"
    if owner in {"core.Container", "core.EphemeralContainer"}:
        return STRATEGIC_IN_CONTAINERS.get(field.name)
    return STRATEGIC.get(f"{owner}.{field.name}")


@lru_cache(maxsize=8192)
def list_type(name: str, path: Path) -> ListType:
    """Return how server-side apply merges the container at a path."""
    if not path:
        return GRANULAR
    place = _place(name, path)
    if place is None:
        return ATOMIC
    owner, field = place
    if field.container != "[]":
        return _object_type(f"{owner}.{field.name}", field)
    if field.name == "conditions" and owner in CONDITIONS and owner != "batch.JobStatus":
        return ListType("map", ("type",))
    if owner in {"core.Container", "core.EphemeralContainer"}:
        return APPLY_IN_CONTAINERS.get(field.name, ATOMIC)
    return APPLY.get(f"{owner}.{field.name}", ATOMIC)


def _object_type(qualified: str, field: Field) -> ListType:
    if field.container == "{}":
        return ATOMIC if qualified in ATOMIC_MAPS else GRANULAR
    return GRANULAR if field.is_message and field.type not in ATOMIC_MESSAGES else ATOMIC


def every_list(name: str) -> Sequence[tuple[Path, ListType, str | None]]:
    """Return the direct lists of a message with their apply type and strategic key, for OpenAPI."""
    lists = (field.name for field in fields_of(name).values() if field.container == "[]")
    return [((item,), list_type(name, (item,)), merge_key(name, (item,))) for item in lists]
