"""Apache APISIX: ApisixRoutes of all namespaces, at Services labelled `sandbox.flagger.app/ingress: apisix`.

A rule whose conditions are not understood is left out. Plugins, stream routes and TLS are not acted on.
"""

import re
from collections.abc import Iterator
from itertools import product

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object, namespace_of
from flagger.sandbox.dataplane.kinds import APISIX_ROUTE
from flagger.sandbox.dataplane.routes import Forward, Match, MatchKind, NamedMatch, PathMatch, Rule, Target
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.fronts import ANY_HOST, Entry, beginning_with, cluster_of, served

DEFAULT_WEIGHT = 100


class Apisix:
    """Reads what the APISIX ingress controller reads; exact paths win, then longer ones, then priority."""

    needs = (APISIX_ROUTE, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of all routes."""
        entries = [entry for route in seen.all(APISIX_ROUTE) for entry in _entries(route, seen)]
        return Contribution(fronts=served(seen, "apisix", entries))


def _entries(route: Object, seen: Snapshot) -> Iterator[Entry]:
    for rule in route["spec"].get("http") or ():
        wanted, targets = rule["match"], tuple(_targets(rule, namespace_of(route), seen))
        hosts, methods = wanted.get("hosts") or [ANY_HOST], wanted.get("methods") or [""]
        try:
            conditions = [_condition(expr) for expr in wanted.get("exprs") or ()]
        except FieldError:
            continue
        headers = tuple(item for part, item in conditions if part == "header")
        query = tuple(item for part, item in conditions if part == "query")
        for host, method, path in product(hosts, methods, wanted["paths"]):
            rank = (path.endswith("*"), -len(path), -rule.get("priority", 0))
            match = Match(_path(path), method, headers, query)
            yield Entry(host, rank, Rule(match, Forward(targets)))


def _targets(rule: Object, namespace: str, seen: Snapshot) -> Iterator[Target]:
    for backend in rule.get("backends") or ():
        cluster = cluster_of(seen, namespace, backend["serviceName"], backend["servicePort"])
        yield Target(cluster, backend.get("weight", DEFAULT_WEIGHT))


def _path(text: str) -> PathMatch:
    """A path, or everything that begins with what is before the star."""
    start = text.removesuffix("*")
    return PathMatch(MatchKind.EXACT, text) if start == text else beginning_with(start)


def _condition(expr: Object) -> tuple[str, NamedMatch]:
    """Which part of a request a condition is about, and the condition.

    Raises:
        FieldError: the sandbox doesn't know it.
    """
    subject, value = expr["subject"], expr.get("value", "")
    name = subject.get("name", "")
    match subject["scope"], expr["op"]:
        case "Header", "Equal":
            return "header", NamedMatch(name.lower(), MatchKind.EXACT, value)
        case "Header", "RegexMatch":
            return "header", NamedMatch(name.lower(), MatchKind.REGEX, f".*(?:{value}).*")
        case "Query", "Equal":
            return "query", NamedMatch(name, MatchKind.EXACT, value)
        case "Query", "RegexMatch":
            return "query", NamedMatch(name, MatchKind.REGEX, f".*(?:{value}).*")
        case "Cookie", "Equal":
            pair = re.escape(f"{name}={value}")
            return "header", NamedMatch("cookie", MatchKind.REGEX, f"(?:.*; *)?{pair}(?:;.*)?")
    problem = f"{expr['op']} of {subject['scope']} is not known"
    raise FieldError("match.exprs", problem, "use Equal or RegexMatch of a header, query parameter or cookie")
