"""Front doors: the Services through which users reach an ingress controller.

Where a cluster has a controller with pods, the sandbox has Envoy: a Service with the label
`sandbox.flagger.app/ingress: nginx` serves at its own address what the objects of that family ask for.
"""

from collections.abc import Iterator

from flagger.kube.objects import SERVICE, labels_of, name_of, namespace_of
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.services import listener_name, tcp_ports

INGRESS_LABEL = "sandbox.flagger.app/ingress"


def front_doors(seen: Snapshot, family: str) -> Iterator[str]:
    """The names of the listeners at which an ingress controller's hosts are to be served."""
    for service in seen.all(SERVICE):
        if labels_of(service).get(INGRESS_LABEL) == family:
            for port in tcp_ports(service):
                yield listener_name(namespace_of(service), name_of(service), port["port"])
