"""Front doors: the Services through which users reach an ingress controller.

Where a cluster has a controller with pods, the sandbox has Envoy: a Service with the label
`sandbox.flagger.app/ingress: nginx` serves at its own address what the objects of that family ask for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, labels_of, name_of, namespace_of
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, MatchKind, PathMatch, Rule, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex
from flagger.sandbox.dataplane.translators.services import cluster_name, listener_name, tcp_ports

INGRESS_LABEL = "sandbox.flagger.app/ingress"
ANY_HOST = "*"


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule for one host, or for any; of several that match, the one with the smallest rank has the request."""

    host: str
    rank: tuple[int, ...]
    rule: Rule


def front_doors(seen: Snapshot, family: str) -> Iterator[str]:
    """The names of the listeners at which an ingress controller's hosts are to be served."""
    for service in seen.all(SERVICE):
        if labels_of(service).get(INGRESS_LABEL) == family:
            for port in tcp_ports(service):
                yield listener_name(namespace_of(service), name_of(service), port["port"])


def served(seen: Snapshot, family: str, entries: Iterable[Entry]) -> Mapping[str, tuple[VirtualHost, ...]]:
    """The hosts of all entries at each front door of an ingress controller; what Envoy would refuse is left out."""
    hosts = virtual_hosts(entry for entry in entries if _is_sound(entry))
    return dict.fromkeys(front_doors(seen, family), hosts)


def virtual_hosts(entries: Iterable[Entry]) -> tuple[VirtualHost, ...]:
    """The rules by host, each with those for any host among its own."""
    ranked = sorted(entries, key=lambda entry: entry.rank)
    names = sorted({entry.host for entry in ranked})
    return tuple(
        VirtualHost((name,), tuple(entry.rule for entry in ranked if entry.host in (name, ANY_HOST)))
        for name in names
    )


def _is_sound(entry: Entry) -> bool:
    match = entry.rule.match
    named = [(each.kind, each.value) for each in (*match.headers, *match.query)]
    try:
        for kind, text in [(match.path.kind, match.path.value), *named]:
            if kind is MatchKind.REGEX:
                check_regex("match", text)
    except FieldError:
        return False
    return bool(entry.host)


def beginning_with(text: str) -> PathMatch:
    """Paths that begin with a text, which need not end with a segment."""
    return PathMatch() if text == "/" else PathMatch(MatchKind.REGEX, f"{re.escape(text)}.*")


def cluster_of(seen: Snapshot, namespace: str, service: str, port: int | str) -> str:
    """The cluster of a Service port, given by number or name; requests for one that isn't there get 500."""
    found = seen.get(SERVICE, namespace, service)
    for declared in tcp_ports(found) if found else ():
        if port in (declared["port"], declared.get("name")):
            return cluster_name(namespace, service, declared["port"])
    return MISSING_CLUSTER
