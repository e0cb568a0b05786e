"""Which pods are behind a Service, at which ports, ready or not: the contents of Endpoints and EndpointSlices; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flagger.kube.objects import Object, is_terminating, name_of, namespace_of, resource_version_of, uid_of
from flagger.sandbox.controllers.pods import FINISHED, is_ready, phase_of

Port = tuple[str, int, str]  # name, number, protocol


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod behind a Service."""

    pod: Object
    ip: str
    ready: bool
    ports: tuple[Port, ...]


def backends_of(service: Object, pods: Sequence[Object]) -> list[Backend]:
    """The pods that have an address and still do work, in the order of their addresses."""
    every = bool(service["spec"].get("publishNotReadyAddresses"))
    found = [
        Backend(pod, ip, every or is_ready(pod), ports_of(service, pod))
        for pod in pods
        if (ip := pod.get("status", {}).get("podIP"))
        and not is_terminating(pod)
        and phase_of(pod) not in FINISHED
    ]
    return sorted(found, key=lambda backend: (backend.ip, name_of(backend.pod)))


def ports_of(service: Object, pod: Object) -> tuple[Port, ...]:
    """The Service's ports as they are on a pod; those whose name the pod does not have are left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol", "TCP")
        number = number_of(port.get("targetPort", port["port"]), protocol, pod)
        if number is not None:
            found.append((port.get("name", ""), number, protocol))
    return tuple(found)


def number_of(target: int | str, protocol: str, pod: Object) -> int | None:
    """A target port as a number, looked up among the ports of the pod's containers if it is a name."""
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def subsets(backends: Sequence[Backend]) -> list[Object]:
    """`subsets` of Endpoints: one per set of ports; pods without any of the ports are not in it."""
    by_ports: dict[tuple[Port, ...], list[Backend]] = {}
    for backend in backends:
        if backend.ports:
            by_ports.setdefault(backend.ports, []).append(backend)
    found = []
    for ports, members in sorted(by_ports.items()):
        subset: Object = {}
        for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
            if chosen := [address_of(member) for member in members if member.ready is wanted]:
                subset[field] = chosen
        found.append(subset | {"ports": [port_object(port) for port in ports]})
    return found


def address_of(backend: Backend) -> Object:
    """An address of a subset."""
    return {
        "ip": backend.ip,
        "nodeName": backend.pod["spec"].get("nodeName"),
        "targetRef": reference_to(backend.pod),
    }


def reference_to(pod: Object) -> Object:
    """`targetRef`."""
    identity = {"namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}
    return {"kind": "Pod", **identity, "resourceVersion": resource_version_of(pod)}


def port_object(port: Port) -> Object:
    """A port of a subset or slice."""
    name, number, protocol = port
    return ({"name": name} if name else {}) | {"port": number, "protocol": protocol}


def slice_contents(backends: Sequence[Backend], version: str) -> Object:
    """`endpoints` and `ports` of an EndpointSlice of an API version."""
    ports = sorted({port for backend in backends for port in backend.ports})
    objects = [{"name": name, "port": number, "protocol": protocol} for name, number, protocol in ports]
    return {"endpoints": [endpoint(backend, version) for backend in backends], "ports": objects}


def endpoint(backend: Backend, version: str) -> Object:
    """An endpoint of a slice; the beta version has the node in a map."""
    node = backend.pod["spec"].get("nodeName")
    conditions: Mapping[str, bool] = {"ready": backend.ready}
    where: Object = {"topology": {"kubernetes.io/hostname": node}}
    if version == "v1":
        conditions = {"ready": backend.ready, "serving": backend.ready, "terminating": False}
        where = {"nodeName": node}
    return {
        "addresses": [backend.ip],
        "conditions": conditions,
        "targetRef": reference_to(backend.pod),
        **where,
    }


def same(one: Any, other: Any) -> bool:
    """Are two contents the same, apart from the versions of the pods?"""
    return bool(without_versions(one) == without_versions(other))


def without_versions(value: Any) -> Any:
    """A value without `resourceVersion` members and without what is None."""
    if isinstance(value, dict):
        kept = {
            key: member for key, member in value.items() if key != "resourceVersion" and member is not None
        }
        return {key: without_versions(member) for key, member in kept.items()}
    return [without_versions(member) for member in value] if isinstance(value, list) else value
