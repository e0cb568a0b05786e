"""Where a VirtualService is asked from, and what its hosts mean there."""

from dataclasses import dataclass

from flagger.kube.objects import SERVICE, Object
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.services import cluster_name, tcp_ports

MESH = "mesh"
"""The gateway that stands for the proxies of all pods."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The listener that rules are made for: its gateway, `mesh` or `namespace/name`, and its port.

    `namespace` is that of the VirtualService: its short names are about it.
    """

    seen: Snapshot
    namespace: str
    gateway: str
    port: int


def service_key(host: str, namespace: str) -> tuple[str, str] | None:
    """Namespace and name of the Service that a host means; None if it can't be one."""
    name, *rest = host.split(".")
    match rest:
        case []:
            return namespace, name
        case [other] | [other, "svc"] | [other, "svc", "cluster", "local"]:
            return other, name
    return None


def cluster_of(destination: Object, scope: Scope) -> str:
    """The pods that a destination means; requests for one that leads nowhere get 500."""
    key = service_key(destination["host"], scope.namespace)
    service = scope.seen.get(SERVICE, *key) if key else None
    if key is None or service is None:
        return MISSING_CLUSTER
    ports = [port["port"] for port in tcp_ports(service)]
    wanted = (destination.get("port") or {}).get("number") or (ports[0] if len(ports) == 1 else scope.port)
    return cluster_name(*key, wanted) if wanted in ports else MISSING_CLUSTER


def gateways_of(route: Object, namespace: str) -> list[str]:
    """The gateways that a VirtualService or one of its matches names, with their namespaces."""
    named = route.get("gateways") or []
    return [name if name == MESH or "/" in name else f"{namespace}/{name}" for name in named]
