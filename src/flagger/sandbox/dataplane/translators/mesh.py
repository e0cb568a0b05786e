"""What meshes have in common: names of Services, the listeners that clients reach them at, and their pods."""

import re

from flagger.kube.objects import SERVICE, Object, name_of, namespace_of
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, MatchKind, PathMatch
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.services import cluster_name, listener_name, tcp_ports

_SUFFIXES = frozenset({(), ("svc",), ("svc", "cluster", "local")})


def service_called(host: str, namespace: str, seen: Snapshot) -> Object | None:
    """The Service that a host name such as `web`, `web.shop` or `web.shop.svc.cluster.local.` means in a namespace."""
    name, *rest = host.rstrip(".").split(".")
    if rest and tuple(rest[1:]) not in _SUFFIXES:
        return None
    return seen.get(SERVICE, rest[0] if rest else namespace, name)


def listeners_of(
    service: Object | None, seen: Snapshot, ports: frozenset[int] | None = None
) -> dict[str, int]:
    """The listeners at which clients reach a Service's ports, with their numbers; none if there is no Service.

    With `ports`, only those of the ports that are called, or lead to, one of these numbers.
    """
    if service is None or not seen.site.holds(service["spec"].get("clusterIP", "")):
        return {}
    found = [
        port["port"]
        for port in tcp_ports(service)
        if ports is None or ports & {port["port"], port.get("targetPort")}
    ]
    return {listener_name(namespace_of(service), name_of(service), port): port for port in found}


def pods_of(service: Object | None, port: int) -> str:
    """The cluster of the pods behind a Service port, named by its own number or by the pods'.

    Requests for one that isn't there get 500.
    """
    known = tcp_ports(service) if service else []
    numbers = [each["port"] for each in known if each["port"] == port]
    numbers += [each["port"] for each in known if each.get("targetPort") == port]
    if service is None or not numbers:
        return MISSING_CLUSTER
    return cluster_name(namespace_of(service), name_of(service), numbers[0])


def begins_with(prefix: str) -> PathMatch:
    """A condition on the first characters of a path, whole segments or not."""
    return PathMatch() if prefix in {"", "/"} else PathMatch(MatchKind.REGEX, f"{re.escape(prefix)}.*")
