"""ingress-nginx: Ingresses of class nginx, and those beside them that are marked as canaries.

A canary Ingress takes part where a plain one has the same host and path. Who gets the canary is said by its
annotations: a header, then a cookie, then a weight. Other annotations are not served.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flagger.api.errors import FieldError
from flagger.kube.objects import INGRESS, SERVICE, Object, annotations_of, key_of, namespace_of
from flagger.sandbox.dataplane.routes import (
    Forward,
    Match,
    MatchKind,
    NamedMatch,
    PathMatch,
    Rule,
    Target,
    VirtualHost,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.fronts import cluster_of, doors_of, front_services
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex, rank

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PREFIX_ANNOTATION = "sandbox.flagger.app/annotations-prefix"
"""On a front door's Service: how the annotations begin that this controller reads."""

DEFAULT_PREFIX = "nginx.ingress.kubernetes.io"
PATHS = {"Exact": MatchKind.EXACT}  # all others are prefixes

Where = tuple[str, PathMatch]
"""Host and path."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Another cluster for some of the requests, and its annotations without their prefix."""

    cluster: str
    annotations: dict[str, str]


class Nginx:
    """Reads what ingress-nginx reads."""

    needs = (INGRESS, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The hosts of all Ingresses, at the controller's front doors."""
        fronts: dict[str, tuple[VirtualHost, ...]] = {}
        for service in front_services(seen, "nginx"):
            prefix = annotations_of(service).get(PREFIX_ANNOTATION, DEFAULT_PREFIX)
            fronts |= dict.fromkeys(doors_of(service), tuple(_hosts(seen, prefix)))
        return Contribution(fronts=fronts)


def _hosts(seen: Snapshot, prefix: str) -> Iterator[VirtualHost]:
    plain: dict[Where, str] = {}
    canaries: dict[Where, Canary] = {}
    for ingress in _in_order(seen):
        own = _annotations(ingress, prefix)
        for where, cluster in _backends(ingress, seen):
            if own.get("canary") != "true":
                plain.setdefault(where, cluster)  # the oldest Ingress has a path that several want
            else:
                canaries.setdefault(where, Canary(cluster, own))
    for host in sorted({host for host, _ in plain}):
        paths = sorted((path for each, path in plain if each == host), key=lambda path: rank(Match(path)))
        rules = (
            rule for path in paths for rule in _rules(path, plain[host, path], canaries.get((host, path)))
        )
        yield VirtualHost((host,), tuple(rules))


def _in_order(seen: Snapshot) -> Sequence[Object]:
    """The Ingresses of our class, the oldest first."""
    ours = [ingress for ingress in seen.all(INGRESS) if _class_of(ingress) == "nginx"]
    return sorted(
        ours, key=lambda ingress: (ingress["metadata"].get("creationTimestamp", ""), key_of(ingress))
    )


def _class_of(ingress: Object) -> str:
    named = ingress["spec"].get("ingressClassName") or annotations_of(ingress).get(CLASS_ANNOTATION)
    return str(named or "")


def _annotations(ingress: Object, prefix: str) -> dict[str, str]:
    start = f"{prefix}/"
    found = annotations_of(ingress).items()
    return {key.removeprefix(start): value for key, value in found if key.startswith(start)}


def _backends(ingress: Object, seen: Snapshot) -> Iterator[tuple[Where, str]]:
    """Where an Ingress leads requests to, path by path; its default backend comes last."""
    spec, namespace = ingress["spec"], namespace_of(ingress)
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            matched = PathMatch(
                PATHS.get(path.get("pathType", ""), MatchKind.PREFIX), path.get("path") or "/"
            )
            yield (rule.get("host") or "*", matched), _cluster(path["backend"], namespace, seen)
    if spec.get("defaultBackend"):
        yield ("*", PathMatch()), _cluster(spec["defaultBackend"], namespace, seen)


def _cluster(backend: Object, namespace: str, seen: Snapshot) -> str:
    service = backend.get("service") or {}
    port = service.get("port") or {}
    return cluster_of(seen, namespace, service.get("name", ""), port.get("number") or port.get("name", ""))


def _rules(path: PathMatch, cluster: str, canary: Canary | None) -> Iterator[Rule]:
    """The rules of one path in order of precedence."""
    if canary is None or canary.cluster == cluster:
        yield Rule(Match(path), Forward((Target(cluster),)))
        return
    for condition, chosen in _sound_tests(canary.annotations):
        wanted = canary.cluster if chosen else cluster
        yield Rule(Match(path, headers=(condition,)), Forward((Target(wanted),)))
    weight, total = _number(canary, "canary-weight", 0), _number(canary, "canary-weight-total", 100)
    shares = Target(cluster, max(0, total - weight)), Target(canary.cluster, min(weight, total))
    yield Rule(Match(path), Forward(shares))


def _sound_tests(annotations: dict[str, str]) -> Sequence[tuple[NamedMatch, bool]]:
    """The conditions, or none where a pattern is no regular expression: it would never match."""
    try:
        return list(_tests(annotations))
    except FieldError:
        return list(_tests(annotations | {"canary-by-header": ""}))


def _tests(annotations: dict[str, str]) -> Iterator[tuple[NamedMatch, bool]]:
    """Conditions on headers, and whether requests that meet them are the canary's."""
    header, cookie = annotations.get("canary-by-header"), annotations.get("canary-by-cookie")
    value, pattern = annotations.get("canary-by-header-value"), annotations.get("canary-by-header-pattern")
    if header and value:
        yield NamedMatch(header, MatchKind.EXACT, value), True
    elif header and pattern:
        check_regex("canary-by-header-pattern", pattern)
        yield NamedMatch(header, MatchKind.REGEX, f".*(?:{pattern}).*"), True
    elif header:
        yield NamedMatch(header, MatchKind.EXACT, "always"), True
        yield NamedMatch(header, MatchKind.EXACT, "never"), False
    if cookie:
        for text, chosen in (("always", True), ("never", False)):
            among = f"(?:.*; ?)?{re.escape(cookie)}={text}(?:;.*)?"
            yield NamedMatch("cookie", MatchKind.REGEX, among), chosen


def _number(canary: Canary, key: str, default: int) -> int:
    text = canary.annotations.get(key, "")
    return int(text) if text.isdecimal() else default
