"""Cluster objects as plain dicts, the kinds we name, and small readers of metadata.

Objects stay dicts so that fields we know nothing of survive. Nothing here talks to a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flagger.kube.errors import Invalid

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type: what the API calls it and where it is served."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`deployments.apps`, or `pods` for the core group; also the name of a custom kind's CRD."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path of one object, of a namespace's collection or (without namespace) of all.

        Raises:
            Invalid: the name is empty or the namespace missing; the path would be that of a collection.
        """
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", self._segment("namespace", namespace)]
        parts.append(self.plural)
        if name is not None:
            if self.namespaced and namespace is None:
                raise Invalid(422, "Invalid", f"{self.kind} {name}: the namespace is missing")
            parts.append(self._segment("name", name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def _segment(self, field: str, value: str) -> str:
        if value in {"", ".", ".."}:
            raise Invalid(422, "Invalid", f"{self.kind}: {value!r} is not a {field}")
        return quote(value, safe=":")


NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
POD = Kind("", "v1", "Pod", "pods")
SERVICE = Kind("", "v1", "Service", "services")
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SECRET = Kind("", "v1", "Secret", "secrets")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
EVENT = Kind("", "v1", "Event", "events")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets")
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets")
STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets")
JOB = Kind("batch", "v1", "Job", "jobs")
HPA = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
CRD = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)


def name_of(obj: Object) -> str:
    """The object's name, "" if it has none yet."""
    return str(obj.get("metadata", {}).get("name", ""))


def namespace_of(obj: Object) -> str:
    """The object's namespace, "" for a cluster-wide object."""
    return str(obj.get("metadata", {}).get("namespace", ""))


def key_of(obj: Object) -> str:
    """`namespace/name`, or the bare name of a cluster-wide object."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def uid_of(obj: Object) -> str:
    """The server's identity of this very object, "" if it was never stored."""
    return str(obj.get("metadata", {}).get("uid", ""))


def resource_version_of(obj: Object) -> str:
    """The version of this state of the object, "" if it was never stored."""
    return str(obj.get("metadata", {}).get("resourceVersion", ""))


def labels_of(obj: Object) -> dict[str, str]:
    """The object's labels; empty when there are none."""
    return obj.get("metadata", {}).get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    """The object's annotations; empty when there are none."""
    return obj.get("metadata", {}).get("annotations") or {}


def is_terminating(obj: Object) -> bool:
    """Has somebody asked for the deletion of this object?"""
    return "deletionTimestamp" in obj.get("metadata", {})


def has_labels(obj: Object, wanted: Mapping[str, str]) -> bool:
    """Does the object carry all these labels with these values?"""
    labels = labels_of(obj)
    return all(labels.get(key) == value for key, value in wanted.items())


def selector_of(labels: Mapping[str, str]) -> str:
    """Labels as an equality selector for the API: `app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def owner_reference(kind: Kind, owner: Object, *, controller: bool = True) -> Object:
    """The ownerReferences entry that has the garbage collector delete an object with its owner."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def is_newer(version: str, than: str, *, unsure: bool = True) -> bool:
    """Is one resourceVersion newer than another?

    Versions are compared as integers when both are decimal, as known servers make them and the API
    guarantees since 1.35. Two different versions of another form give `unsure`: newer by default, as to
    believe a late answer costs a delay, while to ignore a new one would be wrong.
    """
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return unsure and version != than
