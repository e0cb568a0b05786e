"""Skipper: Ingresses of its class or of none, at Services labelled `sandbox.flagger.app/ingress: skipper`.

Of its annotations the weights of backends and the predicates are read; an Ingress with a predicate that is not
understood is left out, as Skipper leaves out a route that it can't make.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flagger.kube.objects import INGRESS, SERVICE, Object, annotations_of, namespace_of
from flagger.sandbox.dataplane.routes import Forward, Match, MatchKind, NamedMatch, PathMatch, Rule, Target
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.fronts import ANY_HOST, Entry, cluster_of, served

FAMILY = "skipper"
WEIGHTS = "zalando.org/backend-weights"
PREDICATES = "zalando.org/skipper-predicate"
CLASS = "kubernetes.io/ingress.class"
CALL = re.compile(r"""\s*(\w+)\(\s*((?:"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/|[^()"/])*)\)\s*(&&|$)""")
ARGUMENT = re.compile(r""""((?:[^"\\]|\\.)*)"|/((?:[^/\\]|\\.)*)/|([^\s,"/]+)""")


@dataclass(frozen=True, slots=True)
class Predicates:
    """What an Ingress asks of requests besides host and path; `weight` puts its routes before others."""

    method: str = ""
    headers: tuple[NamedMatch, ...] = ()
    weight: int = 0


class Skipper:
    """Reads what Skipper reads: the longest path wins, then the greater weight, which each predicate adds to."""

    needs = (INGRESS, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of all Ingresses."""
        entries = [entry for ingress in seen.all(INGRESS) for entry in _entries(ingress, seen)]
        return Contribution(fronts=served(seen, FAMILY, entries))


def _entries(ingress: Object, seen: Snapshot) -> Iterator[Entry]:
    predicates = predicates_of(annotations_of(ingress).get(PREDICATES, ""))
    if predicates is None or _class_of(ingress) not in ("", FAMILY):
        return
    weights = _weights(annotations_of(ingress).get(WEIGHTS, ""))
    for rule in ingress["spec"].get("rules") or ():
        for path, backends in _by_path(rule).items():
            targets = tuple(_targets(backends, weights, namespace_of(ingress), seen))
            rank = (path.kind is not MatchKind.EXACT, -len(path.value.rstrip("/")), -predicates.weight)
            match = Match(path, predicates.method, predicates.headers)
            yield Entry(rule.get("host") or ANY_HOST, rank, Rule(match, Forward(targets)))


def _class_of(ingress: Object) -> str:
    return str(annotations_of(ingress).get(CLASS) or ingress["spec"].get("ingressClassName") or "")


def _weights(text: str) -> Mapping[str, int]:
    """The weights of Services by name; none if they can't be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {name: max(0, round(weight)) for name, weight in items if isinstance(weight, int | float)}


def _by_path(rule: Object) -> Mapping[PathMatch, list[Object]]:
    """The backends of each path; those of the same one share its requests."""
    found: dict[PathMatch, list[Object]] = {}
    for path in (rule.get("http") or {}).get("paths") or ():
        kind = MatchKind.EXACT if path["pathType"] == "Exact" else MatchKind.PREFIX
        found.setdefault(PathMatch(kind, path.get("path") or "/"), []).append(path["backend"])
    return found


def _targets(
    backends: Sequence[Object], weights: Mapping[str, int], namespace: str, seen: Snapshot
) -> Iterator[Target]:
    """The backends with their weights: even ones where none has any, else 0 for one that has none."""
    services = [backend["service"] for backend in backends if "service" in backend]
    weighted = any(service["name"] in weights for service in services)
    for service in services:
        port = service["port"].get("number") or service["port"].get("name", "")
        weight = weights.get(service["name"], 0) if weighted else 1
        yield Target(cluster_of(seen, namespace, service["name"], port), weight)


def predicates_of(text: str) -> Predicates | None:
    """The predicates of an expression; None if it never holds, or says what is not understood here."""
    found, at = Predicates(), 0
    while at < len(text.rstrip()):
        call = CALL.match(text, at)
        if call is None:
            return None
        arguments = ["".join(parts) for parts in ARGUMENT.findall(call[2])]
        more = _with(found, call[1], arguments)
        if more is None:
            return None
        found, at = more, call.end()
    return found


def _with(found: Predicates, name: str, arguments: list[str]) -> Predicates | None:
    match name, arguments:
        case "Weight", [number] if number.isdecimal():
            return Predicates(found.method, found.headers, found.weight + int(number))
        case "True", []:
            return Predicates(found.method, found.headers, found.weight + 1)
        case "Method", [method]:
            return Predicates(method.upper(), found.headers, found.weight + 1)
        case (("Header" | "HeaderRegexp"), [key, value]):
            exact = name == "Header"
            kind, wanted = (MatchKind.EXACT, value) if exact else (MatchKind.REGEX, f".*(?:{value}).*")
            headers = (*found.headers, NamedMatch(key.lower(), kind, wanted))
            return Predicates(found.method, headers, found.weight + 1)
        case _:
            return None
