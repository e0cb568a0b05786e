"""Istio Gateways at the front doors: which hosts are served at which of them."""

from collections.abc import Iterator

from flagger.kube.objects import SERVICE, Object, key_of, labels_of, name_of, namespace_of
from flagger.sandbox.dataplane.kinds import ISTIO_GATEWAY
from flagger.sandbox.dataplane.routes import Rule, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.fronts import INGRESS_LABEL
from flagger.sandbox.dataplane.translators.gateway.hostnames import common
from flagger.sandbox.dataplane.translators.istio.routes import Tell, http_rules
from flagger.sandbox.dataplane.translators.istio.scope import Scope, gateways_of
from flagger.sandbox.dataplane.translators.services import listener_name, tcp_ports

FAMILY = "istio"
PLAIN = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
"""Protocols of servers that can be served; the sandbox's front doors have no certificates."""


def served_at(seen: Snapshot) -> Iterator[tuple[str, Object, Object]]:
    """The listeners of front doors, with the Gateways and the servers of each that are to be found there.

    A server names the port of the proxy's pods; here, where there are none, that of the Service will do too.
    """
    for door in seen.all(SERVICE):
        if labels_of(door).get(INGRESS_LABEL) == FAMILY:
            for port in tcp_ports(door):
                name = listener_name(namespace_of(door), name_of(door), port["port"])
                for gateway in seen.all(ISTIO_GATEWAY):
                    for server in gateway["spec"].get("servers") or ():
                        if server["port"]["number"] in (port["port"], port.get("targetPort")):
                            yield name, gateway, server


def hosts_of(
    service: Object, gateway: Object, server: Object, seen: Snapshot, tell: Tell
) -> Iterator[VirtualHost]:
    """The hosts of one VirtualService at one server of a Gateway."""
    if key_of(gateway) not in gateways_of(service["spec"], namespace_of(service)):
        return
    rules: tuple[Rule, ...] | None = None
    for host in service["spec"].get("hosts") or ():
        for name in _common(host, service, gateway, server):
            if rules is None:
                number = server["port"]["number"]
                rules = http_rules(service, Scope(seen, namespace_of(service), key_of(gateway), number), tell)
            yield VirtualHost((name or "*",), rules)


def _common(host: str, service: Object, gateway: Object, server: Object) -> Iterator[str]:
    """The host names that both the server and the VirtualService have."""
    own = namespace_of(service)
    wanted = "" if host == "*" else host if "." in host else f"{host}.{own}.svc.cluster.local"
    for offered in server.get("hosts") or ():
        whose, _, pattern = offered.rpartition("/")
        if whose in ("", "*", own) or (whose == "." and namespace_of(gateway) == own):
            found = common("" if pattern == "*" else pattern, wanted)
            if found is not None:
                yield found
