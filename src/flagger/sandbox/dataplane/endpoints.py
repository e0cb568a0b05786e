"""Where the pods behind a Service port answer.

A Service with a selector is served from its ready Pods, read directly: a real API server refuses loopback
addresses in Endpoints. One without a selector is served from its EndpointSlices or Endpoints, or from an
annotation where both were refused for the same reason.
"""

from collections.abc import Iterator

from flagger.kube.objects import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    POD,
    Object,
    annotations_of,
    has_labels,
    is_terminating,
    name_of,
    namespace_of,
)
from flagger.sandbox.dataplane.routes import Endpoint
from flagger.sandbox.dataplane.snapshot import Snapshot

SLICE_OWNER = "kubernetes.io/service-name"
ANNOTATION = "sandbox.flagger.app/endpoints"
"""On a Service without a selector: `host:port` of what answers on each of its ports, separated by commas."""


def endpoints_of(service: Object, port: Object, seen: Snapshot) -> tuple[Endpoint, ...]:
    """The processes that shall answer requests to one port of a Service now, in a stable order."""
    return tuple(sorted(set(_found(service, port, seen))))


def _found(service: Object, port: Object, seen: Snapshot) -> Iterator[Endpoint]:
    if service["spec"].get("selector"):
        return _from_pods(service, port, seen)
    if ANNOTATION in annotations_of(service):
        return _from_annotation(service)
    return _from_slices(service, port, seen)


def _from_pods(service: Object, port: Object, seen: Snapshot) -> Iterator[Endpoint]:
    selector = service["spec"]["selector"]
    unready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    for pod in seen.within(POD, namespace_of(service)):
        if has_labels(pod, selector) and is_serving(pod, unready_too=unready_too):
            number = _pod_port(pod, port)
            if number:
                yield Endpoint(pod["status"]["podIP"], number)


def is_serving(pod: Object, *, unready_too: bool = False) -> bool:
    """May the pod get new requests? Not from the moment on that its deletion was asked for."""
    status = pod.get("status", {})
    if is_terminating(pod) or not status.get("podIP") or status.get("phase") in {"Succeeded", "Failed"}:
        return False
    return unready_too or any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions") or []
    )


def _pod_port(pod: Object, port: Object) -> int | None:
    """The number of a Service port's `targetPort`, to which each pod may give a number of its own."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers", []):
        for declared in container.get("ports") or []:
            if declared.get("name") == target:
                return int(declared["containerPort"])
    return int(target) if target.isdecimal() else None


def _from_annotation(service: Object) -> Iterator[Endpoint]:
    for entry in annotations_of(service)[ANNOTATION].split(","):
        host, _, number = entry.strip().rpartition(":")
        if host and number.isdecimal():
            yield Endpoint(host, int(number))


def _from_slices(service: Object, port: Object, seen: Snapshot) -> Iterator[Endpoint]:
    slices = [
        piece
        for piece in seen.within(ENDPOINT_SLICE, namespace_of(service))
        if has_labels(piece, {SLICE_OWNER: name_of(service)})
    ]
    if not slices:
        yield from _from_endpoints(service, port, seen)
    for piece in slices:
        ready = [
            address
            for endpoint in piece.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"]
        ]
        yield from _joined(ready, piece.get("ports") or [], port)


def _from_endpoints(service: Object, port: Object, seen: Snapshot) -> Iterator[Endpoint]:
    written = seen.get(ENDPOINTS, namespace_of(service), name_of(service)) or {}
    for subset in written.get("subsets") or []:
        ready = [address["ip"] for address in subset.get("addresses") or []]
        yield from _joined(ready, subset.get("ports") or [], port)


def _joined(addresses: list[str], ports: list[Object], port: Object) -> Iterator[Endpoint]:
    """Addresses with the number of the port that has the Service port's name."""
    for declared in ports:
        if (declared.get("name") or "") == port.get("name", "") and declared.get("port"):
            for address in addresses:
                yield Endpoint(address, declared["port"])
