"""The built-in resources that are served: one row each, and nothing but data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FULL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
NO_COLLECTION = tuple(verb for verb in FULL if verb != "deletecollection")
CREATE = ("create",)
READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object; an empty `kind` is the kind of the object itself."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A built-in resource in one version.

    `generation` says which change raises `metadata.generation`: "spec", "spec and annotations", "data" for
    anything outside metadata, or "" for kinds that have none.
    """

    message: str
    plural: str
    short: str = ""
    generation: str = ""
    all: bool = False
    namespaced: bool = True
    verbs: tuple[str, ...] = FULL
    subresources: tuple[Subresource, ...] = ()
    fields: tuple[str, ...] = ()
    """Fields for field selectors, besides metadata.name and metadata.namespace."""
    update_needs_version: bool = False
    """A PUT must say which resourceVersion it replaces."""
    update_creates: bool = False
    """A PUT of a missing object creates it."""
    keeps_status: bool = False
    """The status of a POST is taken over."""
    singular: str = field(default="")

    @property
    def kind(self) -> str:
        """The kind is the last part of the message's name."""
        return self.message.rsplit(".", 1)[-1]


STATUS = Subresource("status", READ_WRITE)
SCALE = Subresource("scale", READ_WRITE, "Scale", "autoscaling", "v1")
PROXY = ("create", "delete", "get", "patch", "update")
POD_SUBRESOURCES = (
    Subresource("attach", ("create", "get"), "PodAttachOptions", "", "v1"),
    Subresource("binding", CREATE, "Binding", "", "v1"),
    Subresource("ephemeralcontainers", READ_WRITE),
    Subresource("eviction", CREATE, "Eviction", "policy", "v1"),
    Subresource("exec", ("create", "get"), "PodExecOptions", "", "v1"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), "PodPortForwardOptions", "", "v1"),
    Subresource("proxy", PROXY, "PodProxyOptions", "", "v1"),
    STATUS,
)
INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
POD_FIELDS = (
    *(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
    ),
    *("status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
)
CORE_EVENT_FIELDS = (
    *(f"involvedObject.{name}" for name in INVOLVED),
    *("reason", "reportingComponent", "source", "type"),
)
EVENT_FIELDS = (*(f"regarding.{name}" for name in INVOLVED), "reason", "reportingController", "type")

RESOURCES: Mapping[tuple[str, str], Sequence[Row]] = {
    ("", "v1"): (
        Row("core.Binding", "bindings", verbs=CREATE),
        Row("core.ConfigMap", "configmaps", "cm"),
        Row("core.Endpoints", "endpoints", "ep", update_creates=True, singular="endpoints"),
        Row("core.Event", "events", "ev", fields=CORE_EVENT_FIELDS, update_creates=True),
        Row("core.LimitRange", "limitranges", "limits"),
        Row(
            "core.Namespace",
            "namespaces",
            "ns",
            namespaced=False,
            verbs=NO_COLLECTION,
            subresources=(Subresource("finalize", ("update",)), STATUS),
            fields=("status.phase",),
        ),
        Row(
            "core.Node",
            "nodes",
            "no",
            namespaced=False,
            keeps_status=True,
            subresources=(Subresource("proxy", PROXY, "NodeProxyOptions", "", "v1"), STATUS),
            fields=("spec.unschedulable",),
        ),
        Row("core.PersistentVolumeClaim", "persistentvolumeclaims", "pvc", subresources=(STATUS,)),
        Row("core.Pod", "pods", "po", all=True, subresources=POD_SUBRESOURCES, fields=POD_FIELDS),
        Row("core.PodTemplate", "podtemplates"),
        Row(
            "core.ReplicationController",
            "replicationcontrollers",
            "rc",
            generation="spec",
            all=True,
            subresources=(SCALE, STATUS),
            fields=("status.replicas",),
        ),
        Row("core.ResourceQuota", "resourcequotas", "quota", subresources=(STATUS,)),
        Row("core.Secret", "secrets", fields=("type",)),
        Row(
            "core.ServiceAccount",
            "serviceaccounts",
            "sa",
            subresources=(Subresource("token", CREATE, "TokenRequest", "authentication.k8s.io", "v1"),),
        ),
        Row(
            "core.Service",
            "services",
            "svc",
            all=True,
            update_needs_version=True,
            subresources=(Subresource("proxy", PROXY, "ServiceProxyOptions", "", "v1"), STATUS),
            fields=("spec.clusterIP", "spec.type"),
        ),
    ),
    ("apps", "v1"): (
        Row("apps.ControllerRevision", "controllerrevisions"),
        Row("apps.DaemonSet", "daemonsets", "ds", generation="spec", all=True, subresources=(STATUS,)),
        Row(
            "apps.Deployment",
            "deployments",
            "deploy",
            generation="spec and annotations",
            all=True,
            subresources=(SCALE, STATUS),
        ),
        Row(
            "apps.ReplicaSet",
            "replicasets",
            "rs",
            generation="spec",
            all=True,
            subresources=(SCALE, STATUS),
            fields=("status.replicas",),
        ),
        Row(
            "apps.StatefulSet",
            "statefulsets",
            "sts",
            generation="spec",
            all=True,
            subresources=(SCALE, STATUS),
        ),
    ),
    ("events.k8s.io", "v1"): (Row("events.Event", "events", "ev", fields=EVENT_FIELDS, update_creates=True),),
    ("authentication.k8s.io", "v1"): (
        Row("authentication.SelfSubjectReview", "selfsubjectreviews", namespaced=False, verbs=CREATE),
        Row("authentication.TokenReview", "tokenreviews", namespaced=False, verbs=CREATE),
    ),
    ("authorization.k8s.io", "v1"): (
        Row("authorization.LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=CREATE),
        Row(
            "authorization.SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            namespaced=False,
            verbs=CREATE,
        ),
        Row(
            "authorization.SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False, verbs=CREATE
        ),
        Row("authorization.SubjectAccessReview", "subjectaccessreviews", namespaced=False, verbs=CREATE),
    ),
    ("autoscaling", "v2"): (
        Row(
            "autoscaling.v2.HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "hpa",
            all=True,
            subresources=(STATUS,),
        ),
    ),
    ("autoscaling", "v1"): (
        Row(
            "autoscaling.v1.HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "hpa",
            all=True,
            subresources=(STATUS,),
        ),
    ),
    ("batch", "v1"): (
        Row("batch.CronJob", "cronjobs", "cj", generation="spec", all=True, subresources=(STATUS,)),
        Row("batch.Job", "jobs", all=True, subresources=(STATUS,), fields=("status.successful",)),
    ),
    ("networking.k8s.io", "v1"): (
        Row("networking.IngressClass", "ingressclasses", namespaced=False, generation="spec"),
        Row("networking.Ingress", "ingresses", "ing", generation="spec", subresources=(STATUS,)),
        Row("networking.NetworkPolicy", "networkpolicies", "netpol", generation="spec"),
    ),
    ("policy", "v1"): (
        Row(
            "policy.PodDisruptionBudget",
            "poddisruptionbudgets",
            "pdb",
            generation="spec",
            update_needs_version=True,
            subresources=(STATUS,),
        ),
    ),
    ("rbac.authorization.k8s.io", "v1"): (
        Row("rbac.ClusterRoleBinding", "clusterrolebindings", namespaced=False, update_creates=True),
        Row("rbac.ClusterRole", "clusterroles", namespaced=False, update_creates=True),
        Row("rbac.RoleBinding", "rolebindings", update_creates=True),
        Row("rbac.Role", "roles", update_creates=True),
    ),
    ("discovery.k8s.io", "v1"): (Row("discovery.EndpointSlice", "endpointslices", generation="data"),),
    ("coordination.k8s.io", "v1"): (
        Row("coordination.Lease", "leases", update_needs_version=True, update_creates=True),
    ),
    ("apiextensions.k8s.io", "v1"): (
        Row(
            "apiextensions.CustomResourceDefinition",
            "customresourcedefinitions",
            "crd crds",
            namespaced=False,
            generation="spec",
            update_needs_version=True,
            subresources=(STATUS,),
        ),
    ),
}
"""Group and version → rows. The first version of a group is the preferred one."""

CATEGORIES: Mapping[str, tuple[str, ...]] = {"customresourcedefinitions": ("api-extensions",)}

SHARED_STORAGE: Mapping[str, tuple[str, str]] = {
    "events.Event": ("events", "v1"),
    "autoscaling.v1.HorizontalPodAutoscaler": ("horizontalpodautoscalers.autoscaling", "autoscaling/v2"),
}
"""Messages that are kept in the form of another version: its storage name and apiVersion."""
