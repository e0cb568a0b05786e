"""What a server does to built-in objects before it stores them, besides defaults: status, generation, labels.

`CREATED` and `UPDATED` hold what is special about a kind; everything else is common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flagger.sandbox.apiserver.types import metadata
from flagger.sandbox.apiserver.types.resources import Row

Object = dict[str, Any]

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def pod_created(pod: Object) -> None:
    """A new pod is pending, tolerates a broken node for five minutes, and has a quality of service."""
    spec = pod["spec"]
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in TOLERATED:
        if not any(_tolerates(item, key) for item in tolerations):
            rule = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerations.append(rule)
    pod["status"] = {"phase": "Pending", "qosClass": quality(spec)}


def _tolerates(toleration: Mapping[str, Any], key: str) -> bool:
    named = toleration.get("key") in {key, None}
    return named and toleration.get("effect") in {"NoExecute", None}


def quality(spec: Mapping[str, Any]) -> str:
    """Return the quality of service that the resources of the containers add up to."""
    containers = [*(spec.get("containers") or ()), *spec.get("initContainers", ())]
    if not any(item["resources"].get("requests") or item["resources"].get("limits") for item in containers):
        return "BestEffort"
    return "Guaranteed" if all(_guaranteed(item["resources"]) for item in containers) else "Burstable"


def _guaranteed(resources: Mapping[str, Any]) -> bool:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    return all(
        name in limits and requests.get(name, limits[name]) == limits[name] for name in ("cpu", "memory")
    )


def namespace_created(namespace: Object) -> None:
    """A namespace is held by its own finalizer and labelled with its name."""
    namespace["spec"].setdefault("finalizers", ["kubernetes"])
    namespace_labelled(namespace)


def namespace_labelled(namespace: Object) -> None:
    """The label with the name cannot be taken away."""
    meta = namespace["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]


def job_created(job: Object) -> None:
    """A job labels its pods with its own uid and name, and selects them by the uid."""
    spec, meta = job["spec"], job["metadata"]
    if spec.get("manualSelector") or not meta.get("uid"):
        return
    uid, name = meta["uid"], meta.get("name", "")
    labels = {"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid}
    named = {"job-name": name, "batch.kubernetes.io/job-name": name}
    template = spec["template"]["metadata"]
    template["labels"] = template.get("labels", {}) | labels | named
    if "selector" not in spec:
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    if not meta.get("labels"):
        meta["labels"] = dict(template["labels"])


def daemon_set_created(daemon_set: Object) -> None:
    """The first template has generation one."""
    daemon_set["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = "1"


def daemon_set_updated(old: Object, new: Object) -> None:
    """The annotation counts the templates."""
    count = int(old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "1"))
    changed = old["spec"]["template"] != new["spec"]["template"]
    new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(count + changed)


def crd_created(crd: Object) -> None:
    """The first stored version is the storage version."""
    stored = [version["name"] for version in crd["spec"]["versions"] or () if version["storage"]]
    crd["status"]["storedVersions"] = stored or None


def crd_updated(old: Object, new: Object) -> None:
    """A new storage version joins those that objects may be stored in; old ones stay."""
    stored = list(old["status"].get("storedVersions") or ())
    for version in new["spec"]["versions"] or ():
        if version["storage"] and version["name"] not in stored:
            stored.append(version["name"])
    new["status"] = new["status"] | {"storedVersions": stored}


def service_updated(old: Object, new: Object) -> None:
    """Addresses that the client leaves out stay as they are, unless the service becomes an external name."""
    before, spec = old["spec"], new["spec"]
    if spec["type"] == "ExternalName":
        return
    if before.get("type") != "ExternalName" and not spec.get("clusterIP") and before.get("clusterIP"):
        spec["clusterIP"], spec["clusterIPs"] = before["clusterIP"], before.get("clusterIPs")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        _keep_node_ports(before, spec)


def _keep_node_ports(before: Mapping[str, Any], spec: Object) -> None:
    known = {(port["port"], port["protocol"]): port.get("nodePort") for port in before.get("ports", ())}
    taken = {port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
    for port in spec.get("ports", ()):
        node_port = known.get((port["port"], port["protocol"]))
        if node_port and not port.get("nodePort") and node_port not in taken:
            port["nodePort"] = node_port


def namespace_updated(old: Object, new: Object) -> None:
    """Finalizers of a namespace change through /finalize only."""
    new["spec"] = old["spec"]
    namespace_labelled(new)


CREATED: Mapping[str, Callable[[Object], None]] = {
    "apiextensions.CustomResourceDefinition": crd_created,
    "apps.DaemonSet": daemon_set_created,
    "batch.Job": job_created,
    "core.Namespace": namespace_created,
    "core.Pod": pod_created,
}
UPDATED: Mapping[str, Callable[[Object, Object], None]] = {
    "apiextensions.CustomResourceDefinition": crd_updated,
    "apps.DaemonSet": daemon_set_updated,
    "core.Namespace": namespace_updated,
    "core.Service": service_updated,
}
KEEP_LABELS_ON_STATUS = frozenset({"apps.DaemonSet", "apps.Deployment", "apps.ReplicaSet"})
"""A status write of these ignores labels too."""


def created(row: Row, obj: Object) -> None:
    """Complete a decoded new object in place."""
    metadata.for_create(obj["metadata"], generation=bool(row.generation))
    special = CREATED.get(row.message)
    if special is not None:
        special(obj)


def updated(row: Row, old: Object, new: Object, subresource: str) -> None:
    """Complete a decoded update in place: what this path may not write comes back from `old`."""
    metadata.for_update(old["metadata"], new["metadata"])
    if subresource == "status":
        _only_status(row, old, new)
        return
    if subresource == "finalize":
        _only_finalizers(old, new)
        return
    if "status" in old and any(item.name == "status" for item in row.subresources):
        new["status"] = old["status"]
    special = UPDATED.get(row.message)
    if special is not None:
        special(old, new)
    if row.generation and _changed(row.generation, old, new):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _only_status(row: Row, old: Object, new: Object) -> None:
    for name in [key for key in new if key not in {"metadata", "status", "kind", "apiVersion"}]:
        del new[name]
    new |= {key: value for key, value in old.items() if key not in {"metadata", "status"}}
    if row.message in KEEP_LABELS_ON_STATUS:
        new["metadata"].pop("labels", None)
        if "labels" in old["metadata"]:
            new["metadata"]["labels"] = old["metadata"]["labels"]


def _only_finalizers(old: Object, new: Object) -> None:
    new["status"] = old["status"]
    new["metadata"] = dict(old["metadata"])


def _changed(rule: str, old: Object, new: Object) -> bool:
    if rule == "data":
        return _data(old) != _data(new)
    if old.get("spec") != new.get("spec"):
        return True
    with_annotations = rule == "spec and annotations"
    return with_annotations and old["metadata"].get("annotations") != new["metadata"].get("annotations")


def _data(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in {"metadata", "kind", "apiVersion"}}
