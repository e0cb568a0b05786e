"""The listeners of Gateways, and which rules each hostname gets in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flagger.kube.objects import name_of, namespace_of
from flagger.sandbox.dataplane.routes import HttpListener, Rule, VirtualHost
from flagger.sandbox.dataplane.snapshot import Site
from flagger.sandbox.dataplane.translators.gateway.attachment import Gate
from flagger.sandbox.dataplane.translators.gateway.compiled import CompiledRoute
from flagger.sandbox.dataplane.translators.gateway.hostnames import covers, domain, precedence
from flagger.sandbox.dataplane.translators.gateway.rules import RankedRule
from flagger.sandbox.dataplane.translators.gateway.sections import Section


@dataclass(frozen=True, slots=True)
class Attached:
    """A hostname of a route at a section."""

    hostname: str
    route: CompiledRoute


def gateway_listener_name(gate: Gate, port: int) -> str:
    """What the listener of a Gateway's port is called."""
    return f"gateway_{namespace_of(gate.gateway)}_{name_of(gate.gateway)}_{port}"


def gateway_listeners(gate: Gate, routes: Sequence[CompiledRoute], site: Site) -> Iterator[HttpListener]:
    """A listener for each port, with all sections of that port."""
    address = site.gateway_addresses.get(gate.key)
    serving = [section for section in gate.sections if section.serves]
    for port in dict.fromkeys(section.port for section in serving) if address else ():
        sections = [section for section in serving if section.port == port]
        yield HttpListener(
            name=gateway_listener_name(gate, port),
            address=str(address),
            port=port,
            bound=site.bound_port(port),
            hosts=_hosts(gate, sections, routes),
            names=(str(address),),
            certificates=tuple(one for section in sections for one in section.certificates),
        )


def attached_to(gate: Gate, section: Section, routes: Sequence[CompiledRoute]) -> Iterator[Attached]:
    """The routes of a section, the oldest first, once for each hostname."""
    for route in routes:
        for binding in route.bindings:
            if binding.gateway == gate.key:
                for hostname in (binding.hostnames or {}).get(section.name, ()):
                    yield Attached(hostname, route)


def _hosts(
    gate: Gate, sections: Sequence[Section], routes: Sequence[CompiledRoute]
) -> tuple[VirtualHost, ...]:
    """The hosts of one port. A hostname belongs to its most specific section, even to one without routes."""
    hosts: dict[str, VirtualHost] = {}
    for section in sorted(sections, key=lambda section: precedence(section.hostname)):
        attached = list(attached_to(gate, section, routes))
        names = dict.fromkeys([section.hostname, *(entry.hostname for entry in attached)])
        for name in names:
            hosts.setdefault(name, VirtualHost((domain(name),), _rules_for(name, attached)))
    return tuple(hosts[name] for name in sorted(hosts, key=lambda name: (precedence(name), name)))


def _rules_for(name: str, attached: Sequence[Attached]) -> tuple[Rule, ...]:
    """All rules that a request for a hostname may meet: first those of more specific ones, then by match."""
    levels: dict[str, list[RankedRule]] = {}
    for entry in attached:
        if covers(entry.hostname, name):
            levels.setdefault(entry.hostname, []).extend(entry.route.rules)
    return tuple(rule for hostname in sorted(levels, key=precedence) for rule in in_order(levels[hostname]))


def in_order(rules: Sequence[RankedRule]) -> Iterator[Rule]:
    """Rules by their rank; equal ones stay as they came, from older routes first."""
    return (ranked.rule for ranked in sorted(rules, key=lambda ranked: ranked.rank))
