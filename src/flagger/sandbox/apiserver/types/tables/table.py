"""Message → columns, and the table of any list of built-in objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from flagger.sandbox.apiserver.types.tables import cluster, network, pods, workloads
from flagger.sandbox.apiserver.types.tables.base import AGE, NAME, Column, Object, table

COLUMNS: Mapping[str, Sequence[Column]] = {
    "apiextensions.CustomResourceDefinition": cluster.CREATED_ONLY,
    "apps.ControllerRevision": cluster.CONTROLLER_REVISION,
    "apps.DaemonSet": workloads.DAEMON_SET,
    "apps.Deployment": workloads.DEPLOYMENT,
    "apps.ReplicaSet": workloads.REPLICA_SET,
    "apps.StatefulSet": workloads.STATEFUL_SET,
    "autoscaling.v1.HorizontalPodAutoscaler": workloads.AUTOSCALER,
    "autoscaling.v2.HorizontalPodAutoscaler": workloads.AUTOSCALER,
    "batch.CronJob": workloads.CRON_JOB,
    "batch.Job": workloads.JOB,
    "coordination.Lease": cluster.LEASE,
    "core.ConfigMap": cluster.CONFIG_MAP,
    "core.Endpoints": network.ENDPOINTS,
    "core.Event": cluster.EVENT,
    "core.LimitRange": cluster.CREATED_ONLY,
    "core.Namespace": cluster.NAMESPACE,
    "core.Node": cluster.NODE,
    "core.PersistentVolumeClaim": cluster.CLAIM,
    "core.Pod": pods.POD,
    "core.ReplicationController": workloads.REPLICATION_CONTROLLER,
    "core.ResourceQuota": cluster.QUOTA,
    "core.Secret": cluster.SECRET,
    "core.Service": network.SERVICE,
    "core.ServiceAccount": cluster.SERVICE_ACCOUNT,
    "discovery.EndpointSlice": network.ENDPOINT_SLICE,
    "events.Event": cluster.EVENT,
    "networking.Ingress": network.INGRESS,
    "networking.IngressClass": network.INGRESS_CLASS,
    "networking.NetworkPolicy": network.NETWORK_POLICY,
    "policy.PodDisruptionBudget": cluster.DISRUPTION_BUDGET,
    "rbac.ClusterRole": cluster.ROLE,
    "rbac.ClusterRoleBinding": cluster.ROLE_BINDING,
    "rbac.Role": cluster.ROLE,
    "rbac.RoleBinding": cluster.ROLE_BINDING,
}
DEFAULT = (NAME, AGE)


def built_in(message: str, objects: Iterable[Object], now: datetime) -> Object:
    """Return `columnDefinitions` and rows for objects of a built-in type."""
    listed = list(objects)
    result = table(COLUMNS.get(message, DEFAULT), listed, now)
    if message == "core.Pod":
        for row, pod in zip(result["rows"], listed, strict=True):
            conditions = pods.row_conditions(pod)
            if conditions:
                row["conditions"] = conditions
    return result
