"""Istio: VirtualServices for Services, as the proxies of pods would serve them, and for Istio Gateways."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from flagger.kube.objects import SERVICE, Object, key_of, namespace_of
from flagger.sandbox.dataplane.kinds import ISTIO_GATEWAY, VIRTUAL_SERVICE
from flagger.sandbox.dataplane.routes import Rule, Target, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution, Report
from flagger.sandbox.dataplane.translators.istio.fronts import PLAIN, hosts_of, served_at
from flagger.sandbox.dataplane.translators.istio.routes import http_rules, tcp_targets
from flagger.sandbox.dataplane.translators.istio.scope import MESH, Scope, gateways_of, service_key
from flagger.sandbox.dataplane.translators.istio.unserved import unserved
from flagger.sandbox.dataplane.translators.services import (
    HTTP_1,
    HTTP_2,
    listener_name,
    protocol_of,
    tcp_ports,
)

CONDITION = "Reconciled"


class Istio:
    """Reads VirtualServices, the oldest first: it has the hosts that others claim as well."""

    needs = (VIRTUAL_SERVICE, SERVICE)
    uses = (ISTIO_GATEWAY,)

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of Services and of front doors, and what could not be done, for each VirtualService."""
        services = sorted(seen.all(VIRTUAL_SERVICE), key=_age)
        told = {key_of(service): list(unserved(service["spec"])) for service in services}
        mesh, streams = _mesh(services, seen, told)
        fronts = _fronts(services, seen, told)
        reports = (_report(service, told[key_of(service)]) for service in services)
        return Contribution(
            mesh=mesh, streams=streams, fronts=fronts, reports=tuple(each for each in reports if each)
        )


Told = dict[str, list[str]]
"""What is wrong with each VirtualService, by its key."""


def _mesh(
    services: Sequence[Object], seen: Snapshot, told: Told
) -> tuple[dict[str, tuple[Rule, ...]], dict[str, tuple[Target, ...]]]:
    """How the listeners of Services divide requests and connections."""
    mesh: dict[str, tuple[Rule, ...]] = {}
    streams: dict[str, tuple[Target, ...]] = {}
    for service in services:
        tell = told[key_of(service)].append
        for listener, port, target in _claimed(service, seen):
            scope = Scope(seen, namespace_of(service), MESH, port["port"])
            if listener in mesh or listener in streams:
                tell(f"spec.hosts: an older VirtualService has Service {key_of(target)} already")
            elif protocol_of(port) in HTTP_1 | HTTP_2 and service["spec"].get("http"):
                mesh[listener] = http_rules(service, scope, tell)
            elif protocol_of(port) not in HTTP_1 | HTTP_2 and (parts := tcp_targets(service, scope)):
                streams[listener] = parts
    return mesh, streams


def _claimed(service: Object, seen: Snapshot) -> Iterator[tuple[str, Object, Object]]:
    """The ports of the Services that a VirtualService has for hosts in the mesh, with their listeners."""
    own = namespace_of(service)
    if MESH not in (gateways_of(service["spec"], own) or [MESH]):
        return
    for host in service["spec"].get("hosts") or ():
        key = service_key(host, own)
        target = seen.get(SERVICE, *key) if key else None
        if key is not None and target is not None:
            for port in tcp_ports(target):
                yield listener_name(*key, port["port"]), port, target


def _fronts(services: Sequence[Object], seen: Snapshot, told: Told) -> dict[str, tuple[VirtualHost, ...]]:
    """The hosts of each front door; of one host the rules of older VirtualServices come first."""
    doors: dict[str, dict[str, tuple[Rule, ...]]] = defaultdict(dict)
    for listener, gateway, server in served_at(seen):
        hosts = doors[listener]
        for service in services if server["port"]["protocol"].upper() in PLAIN else ():
            tell = told[key_of(service)].append
            for host in hosts_of(service, gateway, server, seen, tell):
                hosts[host.domains[0]] = hosts.get(host.domains[0], ()) + host.rules
    return {
        listener: tuple(VirtualHost((name,), rules) for name, rules in sorted(hosts.items()))
        for listener, hosts in doors.items()
    }


def _report(service: Object, told: Sequence[str]) -> Report | None:
    """A condition that says what is not done; where everything is, only one that said otherwise is put right."""
    if not told and not service.get("status"):
        return None
    condition = {
        "type": CONDITION,
        "status": "False" if told else "True",
        "reason": "NotServed" if told else "Served",
        "message": "; ".join(dict.fromkeys(told)),
        "observedGeneration": service["metadata"].get("generation", 0),
    }
    return Report(VIRTUAL_SERVICE, service, {"conditions": [condition]})


def _age(service: Object) -> tuple[str, str]:
    return service["metadata"].get("creationTimestamp", ""), key_of(service)
