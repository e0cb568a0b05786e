"""Which routes attach where: to the sections of Gateways, or to Services (mesh routes)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flagger.kube.objects import SERVICE, Object, key_of, name_of, namespace_of
from flagger.sandbox.dataplane.kinds import GATEWAY, GATEWAY_GROUP
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.gateway.backends import CORE_GROUPS, RefProblem, Scope
from flagger.sandbox.dataplane.translators.gateway.hostnames import ANY, common
from flagger.sandbox.dataplane.translators.gateway.sections import Section, admits
from flagger.sandbox.dataplane.translators.services import listener_name, tcp_ports


@dataclass(frozen=True, slots=True)
class Gate:
    """A Gateway and its sections."""

    gateway: Object
    sections: tuple[Section, ...]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return key_of(self.gateway)


@dataclass(frozen=True, slots=True)
class Binding:
    """One parentRef of a route and what it led to."""

    parent_ref: Object
    refused: RefProblem | None = None
    gateway: str = ""  # key
    hostnames: Mapping[str, tuple[str, ...]] | None = None  # by section name
    services: tuple[str, ...] = ()  # names of Services' listeners


def bindings_of(scope: Scope, gates: Mapping[str, Gate]) -> Iterator[Binding]:
    """What each parentRef leads to; those to parents that are nobody's or not ours are left out."""
    for ref in scope.route["spec"].get("parentRefs") or []:
        group, kind = ref.get("group", GATEWAY_GROUP), ref.get("kind", GATEWAY.kind)
        namespace = ref.get("namespace") or namespace_of(scope.route)
        if (group, kind) == (GATEWAY_GROUP, GATEWAY.kind):
            if gate := gates.get(f"{namespace}/{ref['name']}"):
                yield _to_gateway(ref, gate, scope)
        elif group in CORE_GROUPS and kind == SERVICE.kind:
            yield _to_service(ref, namespace, scope)


def _to_gateway(ref: Object, gate: Gate, scope: Scope) -> Binding:
    chosen = [section for section in gate.sections if _is_meant(ref, section)]
    if not chosen:
        text = f"Gateway {gate.key} has no such listener"
        return Binding(ref, RefProblem("NoMatchingParent", text))
    admitting = [section for section in chosen if admits(section, gate.gateway, scope)]
    if not admitting:
        text = f"no listener of Gateway {gate.key} allows {scope.kind.kind}s from this namespace"
        return Binding(ref, RefProblem("NotAllowedByListeners", text))
    wanted = scope.route["spec"].get("hostnames") or [ANY]
    hostnames = {section.name: shared for section in admitting if (shared := _shared(section, wanted))}
    if not hostnames:
        text = f"no listener of Gateway {gate.key} has one of the route's hostnames"
        return Binding(ref, RefProblem("NoMatchingListenerHostname", text))
    return Binding(ref, gateway=gate.key, hostnames=hostnames)


def _is_meant(ref: Object, section: Section) -> bool:
    return ref.get("sectionName") in {None, "", section.name} and ref.get("port") in {None, section.port}


def _shared(section: Section, wanted: Sequence[str]) -> tuple[str, ...]:
    found = (common(section.hostname, hostname) for hostname in wanted)
    return tuple(hostname for hostname in found if hostname is not None)


def _to_service(ref: Object, namespace: str, scope: Scope) -> Binding:
    service = scope.seen.get(SERVICE, namespace, ref["name"])
    if namespace != namespace_of(scope.route):
        text = "the sandbox serves routes of a Service's own namespace only (producer routes)"
        return Binding(ref, RefProblem("NotAllowedByListeners", text))
    if service is None:
        return Binding(ref, RefProblem("NoMatchingParent", f"there is no Service {namespace}/{ref['name']}"))
    listeners = tuple(_service_listeners(ref, service, scope.seen))
    if not listeners:
        text = f"Service {namespace}/{ref['name']} has no such port at an address of its own"
        return Binding(ref, RefProblem("NoMatchingParent", text))
    return Binding(ref, services=listeners)


def _service_listeners(ref: Object, service: Object, seen: Snapshot) -> Iterator[str]:
    if not seen.site.holds(service["spec"].get("clusterIP", "")):
        return
    for port in tcp_ports(service):
        if ref.get("port") in {None, port["port"]} and ref.get("sectionName") in {None, "", port.get("name")}:
            yield listener_name(namespace_of(service), name_of(service), port["port"])
