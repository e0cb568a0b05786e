"""Front doors: the Services through which users reach an ingress controller.

Where a cluster has a controller with pods, the sandbox has Envoy: a Service with the label
`sandbox.flagger.app/ingress: nginx` serves at its own address what the objects of that family ask for.
"""

from collections.abc import Iterator, Sequence

from flagger.kube.objects import SERVICE, Object, labels_of, name_of, namespace_of
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.services import cluster_name, listener_name, tcp_ports

INGRESS_LABEL = "sandbox.flagger.app/ingress"


def front_services(seen: Snapshot, family: str) -> Iterator[Object]:
    """The Services at which an ingress controller's hosts are to be served."""
    for service in seen.all(SERVICE):
        if labels_of(service).get(INGRESS_LABEL) == family:
            yield service


def doors_of(service: Object) -> Iterator[str]:
    """The names of a Service's listeners."""
    for port in tcp_ports(service):
        yield listener_name(namespace_of(service), name_of(service), port["port"])


def front_doors(seen: Snapshot, family: str) -> Iterator[str]:
    """The names of the listeners at which an ingress controller's hosts are to be served."""
    for service in front_services(seen, family):
        yield from doors_of(service)


def at_fronts(
    seen: Snapshot, family: str, hosts: Sequence[VirtualHost]
) -> dict[str, tuple[VirtualHost, ...]]:
    """The same hosts at all front doors of a family; of two hosts for a domain the first one has it."""
    served: dict[str, VirtualHost] = {}
    for host in hosts:
        for domain in host.domains:
            served.setdefault(domain, VirtualHost((domain,), host.rules))
    return dict.fromkeys(front_doors(seen, family), tuple(served.values()))


def cluster_of(seen: Snapshot, namespace: str, service: str, port: int | str) -> str:
    """The cluster of a Service port, given by number or name; requests for one that isn't there get 500."""
    found = seen.get(SERVICE, namespace, service)
    for declared in tcp_ports(found) if found else ():
        if port in (declared["port"], declared.get("name")):
            return cluster_name(namespace, service, declared["port"])
    return MISSING_CLUSTER
