"""Message → rules: everything that makes an object of a built-in kind invalid."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.rules import cluster, definitions, network, pods, workloads
from flagger.sandbox.apiserver.types.rules.base import Check, Object

NAME_RULES: Mapping[str, names.Rule] = {
    "core.Event": names.path_segment,
    "core.Namespace": names.label,
    "core.Service": names.label_1035,
    "rbac.ClusterRole": names.path_segment,
    "rbac.ClusterRoleBinding": names.path_segment,
    "rbac.Role": names.path_segment,
    "rbac.RoleBinding": names.path_segment,
}
"""Kinds whose names are not DNS subdomains."""

CHECKS: Mapping[str, Check] = {
    "apiextensions.CustomResourceDefinition": definitions.definition,
    "apps.DaemonSet": workloads.daemon_set,
    "apps.Deployment": workloads.deployment,
    "apps.ReplicaSet": workloads.replica_set,
    "apps.StatefulSet": workloads.stateful_set,
    "autoscaling.v1.HorizontalPodAutoscaler": workloads.autoscaler,
    "autoscaling.v2.HorizontalPodAutoscaler": workloads.autoscaler,
    "batch.CronJob": workloads.cron_job,
    "batch.Job": workloads.job,
    "coordination.Lease": cluster.lease,
    "core.ConfigMap": cluster.config_map,
    "core.Endpoints": network.endpoints,
    "core.Event": cluster.core_event,
    "core.PersistentVolumeClaim": cluster.volume_claim,
    "core.Pod": pods.pod,
    "core.ReplicationController": workloads.replication_controller,
    "core.ResourceQuota": cluster.resource_quota,
    "core.Secret": cluster.secret,
    "core.Service": network.service,
    "discovery.EndpointSlice": network.endpoint_slice,
    "events.Event": cluster.event,
    "networking.Ingress": network.ingress,
    "networking.NetworkPolicy": network.network_policy,
    "policy.PodDisruptionBudget": cluster.disruption_budget,
    "rbac.ClusterRole": cluster.role,
    "rbac.ClusterRoleBinding": cluster.role_binding,
    "rbac.Role": cluster.role,
    "rbac.RoleBinding": cluster.role_binding,
}


OFF_LOOPBACK: Mapping[str, Check] = {
    "core.Endpoints": network.endpoints_off_loopback,
    "discovery.EndpointSlice": network.endpoint_slice_off_loopback,
}
"""Rules of real servers that a sandbox must do without, since its pods live on 127.x addresses."""


def check(message: str, obj: Object, old: Object | None, *, loopback: bool = True) -> list[Cause]:
    """Return the violations of an object of a built-in type; `loopback` allows such addresses of pods."""
    old_meta = old["metadata"] if old is not None else None
    rule = NAME_RULES.get(message, names.subdomain)
    causes = list(metadata.validate(obj["metadata"], old_meta, rule, custom=False))
    own = CHECKS.get(message)
    if own is not None:
        causes += own(obj, old)
    if not loopback and message in OFF_LOOPBACK:
        causes += OFF_LOOPBACK[message](obj, old)
    return causes
