"""Traefik: IngressRoutes and TraefikServices, at Services labelled `sandbox.flagger.app/ingress: traefik`.

Rules are the conditions below joined by `&&`, and such joined by `||`; a route with anything else in its rule is
left out. Middlewares, entry points and TLS are not acted on.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flagger.kube.objects import SERVICE, Object, namespace_of
from flagger.sandbox.dataplane.kinds import INGRESS_ROUTE, TRAEFIK_SERVICE
from flagger.sandbox.dataplane.routes import (
    Forward,
    Match,
    MatchKind,
    Mirror,
    NamedMatch,
    PathMatch,
    Rule,
    Target,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.fronts import ANY_HOST, Entry, beginning_with, cluster_of, served

CALL = re.compile(r"\s*(\w+)\(((?:\s*`[^`]*`\s*,?)+)\)\s*")
ARGUMENT = re.compile("`([^`]*)`")


class Traefik:
    """Reads what Traefik reads; of several routes the one with the highest priority or longest rule wins."""

    needs = (INGRESS_ROUTE, TRAEFIK_SERVICE, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The routes of all IngressRoutes."""
        entries = [entry for obj in seen.all(INGRESS_ROUTE) for entry in _entries(obj, seen)]
        return Contribution(fronts=served(seen, "traefik", entries))


def _entries(obj: Object, seen: Snapshot) -> Iterator[Entry]:
    for route in obj["spec"].get("routes") or ():
        forward = _several(route.get("services") or (), namespace_of(obj), seen)
        rank = (-(route.get("priority") or len(route["match"])),)
        for hosts, match in alternatives(route["match"]):
            for host in hosts or (ANY_HOST,):
                yield Entry(host, rank, Rule(match, forward))


def _several(services: Sequence[Object], namespace: str, seen: Snapshot) -> Forward:
    """Requests divided by weight, 1 for one that is left out; a lone TraefikService says itself how."""
    if len(services) == 1 and services[0].get("kind") == TRAEFIK_SERVICE.kind:
        return _traefik_service(services[0], namespace, seen)
    return Forward(tuple(Target(_cluster(each, namespace, seen), each.get("weight", 1)) for each in services))


def _traefik_service(ref: Object, namespace: str, seen: Snapshot) -> Forward:
    """What a TraefikService says; nobody answers for one that isn't there."""
    found = seen.get(TRAEFIK_SERVICE, ref.get("namespace") or namespace, ref["name"])
    if found is None:
        return Forward(())
    spec, home = found["spec"], namespace_of(found)
    mirroring = spec.get("mirroring")
    if mirroring:
        copies = (
            Mirror(_cluster(each, home, seen), each.get("percent", 100))
            for each in mirroring.get("mirrors") or ()
        )
        return replace(_several([mirroring], home, seen), mirrors=tuple(copies))
    return _several((spec.get("weighted") or {}).get("services") or (), home, seen)


def _cluster(ref: Object, namespace: str, seen: Snapshot) -> str:
    return cluster_of(seen, ref.get("namespace") or namespace, ref["name"], ref.get("port", 0))


def alternatives(rule: str) -> Sequence[tuple[tuple[str, ...], Match]]:
    """The hosts and conditions of each part of a rule; none if something in it is not understood."""
    found = [_joined(part) for part in rule.split("||")]
    return [each for each in found if each is not None] if all(found) else ()


def _joined(text: str) -> tuple[tuple[str, ...], Match] | None:
    hosts: tuple[str, ...] = ()
    match: Match | None = Match()
    for part in text.split("&&"):
        call = CALL.fullmatch(part)
        if call is None or match is None:
            return None
        arguments = ARGUMENT.findall(call[2])
        if call[1] == "Host":
            hosts = tuple(arguments)
        else:
            match = _narrowed(match, call[1], arguments)
    return None if match is None else (hosts, match)


def _narrowed(match: Match, name: str, arguments: list[str]) -> Match | None:
    """A match with one more condition; the longer names of headers' are those of Traefik 2."""
    match name, arguments:
        case (("Header" | "Headers"), [key, value]):
            header = NamedMatch(key.lower(), MatchKind.EXACT, value)
            return replace(match, headers=(*match.headers, header))
        case (("HeaderRegexp" | "HeadersRegexp"), [key, value]):
            header = NamedMatch(key.lower(), MatchKind.REGEX, f".*(?:{value}).*")
            return replace(match, headers=(*match.headers, header))
        case "Method", [method]:
            return replace(match, method=method)
        case "Path", [path]:
            return replace(match, path=PathMatch(MatchKind.EXACT, path))
        case "PathPrefix", [start]:
            return replace(match, path=beginning_with(start))
        case _:
            return None
