"""The destinations of a VirtualService: how they are written, and what split they make."""

from __future__ import annotations

from collections.abc import Iterable

from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.rollout.state import Split
from flagger.routing.providers.istio.hosts import service_of
from flagger.routing.shares import share_of

MESH = "mesh"
"""The reserved gateway: the proxies of all pods."""


def weighted(canary: Canary, split: Split) -> list[Object]:
    """Both sides with their weights, which are written out also when they are 0."""
    _, primary, candidate = canary.service_names
    return [
        {"destination": destination(canary, primary), "weight": split.primary},
        {"destination": destination(canary, candidate), "weight": split.canary},
    ]


def destination(canary: Canary, host: str) -> Object:
    """A side; with its port where it has several and an ingress gateway could not know which is meant."""
    service = canary.spec.service
    outside = service.delegation or (service.gateways and service.gateways[0] != MESH)
    if service.port_discovery and outside:
        return {"host": host, "port": {"number": service.port}}
    return {"host": host}


def split_of(canary: Canary, routes: Iterable[Object]) -> Split | None:
    """The split of the last route that has both sides; None without such a route."""
    found = [split for route in routes if (split := _split_of(canary, route)) is not None]
    return found[-1] if found else None


def is_weighted(canary: Canary, route: Object) -> bool:
    """Whether a route divides between the two sides."""
    return _split_of(canary, route) is not None


def _split_of(canary: Canary, route: Object) -> Split | None:
    _, primary, candidate = canary.service_names
    weights: dict[str, list[int]] = {primary: [], candidate: []}
    for entry in route.get("route") or ():
        name = _name(canary, entry["destination"])
        if name in weights:
            weights[name].append(entry.get("weight", 0))
    if not (weights[primary] and weights[candidate]):
        return None
    mirrored = _name(canary, route.get("mirror") or {}) == candidate
    return Split(share_of(weights[primary], weights[candidate]), mirrored)


def _name(canary: Canary, destination: Object) -> str:
    """The name of a Service of the Canary's namespace, or nothing."""
    service = service_of(destination.get("host", ""), canary.namespace)
    return service.name if service and service.namespace == canary.namespace else ""
