"""What a server fills into built-in objects: one small function per message, run after its members.

The values follow the "Defaults that matter" of the Kubernetes API reference, as of v1.32. Admission-like
additions that happen only when an object is created live in `preparation.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
Hook = Callable[[Object], None]

FILE_MODE = 0o644
RBAC = "rbac.authorization.k8s.io"


def fill(**values: Any) -> Hook:
    """Return a hook that sets members which are absent."""

    def hook(obj: Object) -> None:
        for name, value in values.items():
            if name not in obj:
                obj[name] = value

    return hook


def container(obj: Object) -> None:
    """Fill the fields of a container; a missing or `latest` tag is pulled always."""
    if "imagePullPolicy" not in obj:
        obj["imagePullPolicy"] = "Always" if _floats(obj.get("image", "")) else "IfNotPresent"
    obj.setdefault("terminationMessagePath", "/dev/termination-log")
    obj.setdefault("terminationMessagePolicy", "File")


def _floats(image: str) -> bool:
    if "@" in image:
        return False
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return tag in {"", "latest"}


def pod_spec(obj: Object) -> None:
    """Fill the fields of every pod specification, in a pod or in a template."""
    obj.setdefault("restartPolicy", "Always")
    obj.setdefault("terminationGracePeriodSeconds", 30)
    obj.setdefault("dnsPolicy", "ClusterFirst")
    obj.setdefault("securityContext", {})
    obj.setdefault("schedulerName", "default-scheduler")
    if obj.get("serviceAccount") and "serviceAccountName" not in obj:
        obj["serviceAccountName"] = obj["serviceAccount"]
    if "serviceAccountName" in obj:
        obj["serviceAccount"] = obj["serviceAccountName"]
    if obj.get("hostNetwork"):
        _claim_host_ports(obj)


def _claim_host_ports(spec: Object) -> None:
    for item in [*(spec.get("containers") or ()), *spec.get("initContainers", ())]:
        for port in item.get("ports", ()):
            port.setdefault("hostPort", port["containerPort"])


def pod(obj: Object) -> None:
    """Fill what only pods have, not templates: requests follow limits."""
    spec = obj["spec"]
    spec.setdefault("enableServiceLinks", True)
    for item in [*(spec.get("containers") or ()), *spec.get("initContainers", ())]:
        limits = item["resources"].get("limits")
        if limits:
            requests = item["resources"].setdefault("requests", {})
            for resource, amount in limits.items():
                requests.setdefault(resource, amount)


def volume(obj: Object) -> None:
    """A volume without a source is an empty directory."""
    if len(obj) == 1:
        obj["emptyDir"] = {}


def deployment_spec(obj: Object) -> None:
    """Fill one replica, a rolling update by quarters, ten revisions, ten minutes."""
    obj.setdefault("replicas", 1)
    strategy = obj["strategy"]
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    obj.setdefault("revisionHistoryLimit", 10)
    obj.setdefault("progressDeadlineSeconds", 600)


def daemon_set_spec(obj: Object) -> None:
    """Fill a rolling update of one node at a time and ten revisions."""
    strategy = obj["updateStrategy"]
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    obj.setdefault("revisionHistoryLimit", 10)


def stateful_set_spec(obj: Object) -> None:
    """Fill ordered pods, a rolling update without a partition, and claims that are kept."""
    obj.setdefault("replicas", 1)
    obj.setdefault("podManagementPolicy", "OrderedReady")
    strategy = obj["updateStrategy"]
    if "type" not in strategy:
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    obj.setdefault("revisionHistoryLimit", 10)
    retention = obj.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")


def replication_controller(obj: Object) -> None:
    """The selector follows the labels of the template, and the labels follow it."""
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    labels = spec.get("template", {}).get("metadata", {}).get("labels")
    if labels:
        spec.setdefault("selector", dict(labels))
        obj["metadata"].setdefault("labels", dict(labels))


def job_spec(obj: Object) -> None:
    """One pod that may be retried six times, unless parallelism makes it a work queue."""
    if "completions" not in obj and "parallelism" not in obj:
        obj["completions"] = 1
    obj.setdefault("parallelism", 1)
    obj.setdefault("backoffLimit", 6)
    obj.setdefault("completionMode", "NonIndexed")
    obj.setdefault("suspend", False)
    obj.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in obj else "TerminatingOrFailed")


def service_port(obj: Object) -> None:
    """Traffic goes to the port of the same number, over TCP."""
    obj.setdefault("protocol", "TCP")
    if obj["targetPort"] in {0, ""}:
        obj["targetPort"] = obj["port"]


def service_spec(obj: Object) -> None:
    """Fill the type, the affinity and the policies that go with the type."""
    kind = obj.setdefault("type", "ClusterIP")
    if obj.setdefault("sessionAffinity", "None") == "ClientIP":
        client = obj.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", 10800)
    if kind in {"NodePort", "LoadBalancer"}:
        obj.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        obj.setdefault("allocateLoadBalancerNodePorts", True)
    if kind != "ExternalName":
        obj.setdefault("internalTrafficPolicy", "Cluster")
        obj.setdefault("ipFamilies", ["IPv4"])
        obj.setdefault("ipFamilyPolicy", "SingleStack")
        _mirror_cluster_ip(obj)


def _mirror_cluster_ip(spec: Object) -> None:
    """`clusterIP` and the first of `clusterIPs` say the same thing."""
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    elif spec.get("clusterIPs"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def secret(obj: Object) -> None:
    """`stringData` is written for people and kept as `data`."""
    obj.setdefault("type", "Opaque")
    written = obj.pop("stringData", None)
    if written:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
        obj["data"] = obj.get("data", {}) | encoded


def namespace(obj: Object) -> None:
    """A namespace is active until it is deleted."""
    obj["status"].setdefault("phase", "Active")


def network_policy_spec(obj: Object) -> None:
    """Without a word on types, ingress is meant, and egress if there are rules for it."""
    if "policyTypes" not in obj:
        obj["policyTypes"] = ["Ingress", "Egress"] if obj.get("egress") else ["Ingress"]


def role_reference(obj: Object) -> None:
    """Roles belong to the authorization group."""
    if not obj.get("apiGroup"):
        obj["apiGroup"] = RBAC


def subject(obj: Object) -> None:
    """Users and groups belong to the authorization group, service accounts to the core."""
    if obj.get("kind") in {"User", "Group"}:
        obj.setdefault("apiGroup", RBAC)


SCALE_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": (("Pods", 4, 15), ("Percent", 100, 15)),
}
SCALE_DOWN = {"selectPolicy": "Max", "policies": (("Percent", 100, 15),)}


def autoscaler_spec(obj: Object) -> None:
    """Fill one replica, cpu at 80 %, and the rest of a behaviour that is given in part."""
    obj.setdefault("minReplicas", 1)
    if not obj.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        obj["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = obj.get("behavior")
    if behavior is not None:
        _fill_rules(behavior.setdefault("scaleUp", {}), SCALE_UP)
        _fill_rules(behavior.setdefault("scaleDown", {}), SCALE_DOWN)


def _fill_rules(rules: Object, defaults: Mapping[str, Any]) -> None:
    for name, value in defaults.items():
        if name != "policies":
            rules.setdefault(name, value)
        elif not rules.get("policies"):
            rules["policies"] = [{"type": t, "value": v, "periodSeconds": p} for t, v, p in value]


def crd_spec(obj: Object) -> None:
    """Names that follow from the kind, and no conversion between versions."""
    names = obj["names"]
    if names["kind"]:
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    obj.setdefault("conversion", {"strategy": "None"})


HOOKS: Mapping[str, Hook] = {
    "apiextensions.CustomResourceDefinitionSpec": crd_spec,
    "apps.DaemonSetSpec": daemon_set_spec,
    "apps.DeploymentSpec": deployment_spec,
    "apps.ReplicaSetSpec": fill(replicas=1),
    "apps.StatefulSetSpec": stateful_set_spec,
    "authentication.TokenRequestSpec": fill(expirationSeconds=3600),
    "autoscaling.v1.HorizontalPodAutoscalerSpec": fill(minReplicas=1),
    "autoscaling.v2.HorizontalPodAutoscalerSpec": autoscaler_spec,
    "batch.CronJobSpec": fill(
        concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1
    ),
    "batch.JobSpec": job_spec,
    "core.ConfigMapVolumeSource": fill(defaultMode=FILE_MODE),
    "core.Container": container,
    "core.ContainerPort": fill(protocol="TCP"),
    "core.DownwardAPIVolumeSource": fill(defaultMode=FILE_MODE),
    "core.EndpointPort": fill(protocol="TCP"),
    "core.EphemeralContainer": container,
    "core.GRPCAction": fill(service=""),
    "core.HTTPGetAction": fill(path="/", scheme="HTTP"),
    "core.HostPathVolumeSource": fill(type=""),
    "core.Namespace": namespace,
    "core.ObjectFieldSelector": fill(apiVersion="v1"),
    "core.PersistentVolumeClaimSpec": fill(volumeMode="Filesystem"),
    "core.PersistentVolumeClaimStatus": fill(phase="Pending"),
    "core.Pod": pod,
    "core.PodSpec": pod_spec,
    "core.Probe": fill(timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3),
    "core.ProjectedVolumeSource": fill(defaultMode=FILE_MODE),
    "core.ReplicationController": replication_controller,
    "core.Secret": secret,
    "core.SecretVolumeSource": fill(defaultMode=FILE_MODE),
    "core.ServiceAccountTokenProjection": fill(expirationSeconds=3600),
    "core.ServicePort": service_port,
    "core.ServiceSpec": service_spec,
    "core.Volume": volume,
    "discovery.EndpointPort": fill(name="", protocol="TCP"),
    "networking.IngressClassParametersReference": fill(scope="Cluster"),
    "networking.NetworkPolicyPort": fill(protocol="TCP"),
    "networking.NetworkPolicySpec": network_policy_spec,
    "rbac.RoleRef": role_reference,
    "rbac.Subject": subject,
}
