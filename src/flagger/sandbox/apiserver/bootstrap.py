"""What is in a cluster from the start: namespaces, the `kubernetes` Service, and the usual cluster roles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from flagger.sandbox.apiserver.call import now, timestamp
from flagger.sandbox.apiserver.present import stored_form
from flagger.sandbox.apiserver.store import Store
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

RBAC = "rbac.authorization.k8s.io"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
WORKLOADS: list[Object] = [
    {
        "apiGroups": [""],
        "resources": [
            "pods",
            "pods/log",
            "services",
            "endpoints",
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "serviceaccounts",
            "bindings",
        ],
    },
    {"apiGroups": ["apps"], "resources": ["*"]},
    {"apiGroups": ["batch"], "resources": ["*"]},
    {"apiGroups": ["autoscaling"], "resources": ["*"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingresses/status", "networkpolicies"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets", "poddisruptionbudgets/status"]},
]
SECRETS: Object = {"apiGroups": [""], "resources": ["secrets"], "verbs": READ + WRITE}
ROLES: Object = {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": READ + WRITE}
VIEW = [rule | {"verbs": READ} for rule in WORKLOADS]
EDIT = [rule | {"verbs": READ + WRITE} for rule in WORKLOADS] + [SECRETS]
CLUSTER_ROLES: dict[str, list[Object]] = {
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "admin": [*EDIT, ROLES],
    "edit": EDIT,
    "view": VIEW,
}


def seed(registry: Registry, store: Store, address: str, port: int) -> None:
    """Create what is missing; the addresses of the `kubernetes` Service are always brought up to date."""
    for kind, obj in _objects(registry, address):
        if store.get(kind.storage, _key(obj)) is None:
            _create(kind, store, obj)
    for kind, obj in _endpoints(registry, port):
        if store.get(kind.storage, _key(obj)) is not None:
            store.remove(kind.storage, _key(obj))
        _create(kind, store, obj)


def _key(obj: Object) -> tuple[str, str]:
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _create(kind: ResourceType, store: Store, obj: Object) -> None:
    moment = now()
    identity = {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(moment)}
    head = {"kind": kind.kind, "apiVersion": kind.api_version}
    prepared = kind.prepare_create(head | obj | {"metadata": obj["metadata"] | identity}, moment)
    store.put(kind.storage, stored_form(kind, prepared))


def _objects(registry: Registry, address: str) -> Iterator[tuple[ResourceType, Object]]:
    for name in NAMESPACES:
        yield _kind(registry, "", "v1", "namespaces"), {"metadata": {"name": name}}
    for name, rules in CLUSTER_ROLES.items():
        yield _kind(registry, RBAC, "v1", "clusterroles"), {"metadata": {"name": name}, "rules": rules}
    yield (
        _kind(registry, RBAC, "v1", "clusterrolebindings"),
        {
            "metadata": {"name": "cluster-admin"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:masters"}],
        },
    )
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": ports, "type": "ClusterIP"}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    metadata = {"name": "kubernetes", "namespace": "default", "labels": labels}
    yield _kind(registry, "", "v1", "services"), {"metadata": metadata, "spec": spec}


def _endpoints(registry: Registry, port: int) -> Iterator[tuple[ResourceType, Object]]:
    metadata: Object = {"name": "kubernetes", "namespace": "default"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": ports}]
    yield (
        _kind(registry, "", "v1", "endpoints"),
        {"metadata": metadata | {"labels": mirrored}, "subsets": subsets},
    )
    slice_metadata = metadata | {"labels": {"kubernetes.io/service-name": "kubernetes"}}
    endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]
    yield (
        _kind(registry, "discovery.k8s.io", "v1", "endpointslices"),
        {"metadata": slice_metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports},
    )


def _kind(registry: Registry, group: str, version: str, plural: str) -> ResourceType:
    kind = registry.lookup(group, version, plural)
    if kind is None:
        raise LookupError(f"{plural} of {group}/{version} are not served")
    return kind
