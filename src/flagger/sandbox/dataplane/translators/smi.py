"""SMI: a TrafficSplit divides the requests for a Service, or those that an HTTPRouteGroup describes, between others."""

from collections.abc import Iterator

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object, namespace_of
from flagger.sandbox.dataplane.kinds import HTTP_ROUTE_GROUP, TRAFFIC_SPLIT
from flagger.sandbox.dataplane.routes import (
    Forward,
    Match,
    MatchKind,
    NamedMatch,
    PathMatch,
    Rule,
    Target,
    forward_to,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex
from flagger.sandbox.dataplane.translators.mesh import listeners_of, pods_of, service_called

ALL_METHODS = "*"
MILLI = 1000


class Smi:
    """Splits of all versions: they are the same objects. One that can't be served leaves its Service as it is."""

    needs = (SERVICE, TRAFFIC_SPLIT)
    uses = (HTTP_ROUTE_GROUP,)

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of the Services at the root of splits; the first split of a Service has it."""
        mesh: dict[str, tuple[Rule, ...]] = {}
        for split in seen.all(TRAFFIC_SPLIT):
            root = service_called(split["spec"]["service"], namespace_of(split), seen)
            for listener, port in listeners_of(root, seen).items():
                try:
                    mesh.setdefault(listener, tuple(_rules(split, root, port, seen)))
                except FieldError:
                    continue
        return Contribution(mesh=mesh)


def _rules(split: Object, root: Object | None, port: int, seen: Snapshot) -> Iterator[Rule]:
    forward = Forward(tuple(_targets(split, port, seen)))
    groups = split["spec"].get("matches") or []
    if not groups:
        yield Rule(Match(), forward)
        return
    for ref in groups:
        group = seen.get(HTTP_ROUTE_GROUP, namespace_of(split), ref["name"])
        for match in _matches(group) if group else ():
            yield Rule(match, forward)
    yield forward_to(pods_of(root, port))


def _targets(split: Object, port: int, seen: Snapshot) -> Iterator[Target]:
    """The backends; weights are relative, so what v1alpha1 writes as fractions is counted in thousandths."""
    backends = split["spec"].get("backends") or []
    amounts = [_thousandths(backend["weight"]) for backend in backends]
    unit = MILLI if all(amount % MILLI == 0 for amount in amounts) else 1
    for backend, amount in zip(backends, amounts, strict=True):
        service = service_called(backend["service"], namespace_of(split), seen)
        yield Target(pods_of(service, port), amount // unit)


def _thousandths(weight: int | str) -> int:
    text = str(weight)
    return int(text[:-1]) if text.endswith("m") else round(MILLI * float(text))


def _matches(group: Object) -> Iterator[Match]:
    """The conditions of a group, once for each method.

    Raises:
        FieldError: a regular expression is none.
    """
    for match in group["spec"].get("matches") or []:
        path = match.get("pathRegex") or ".*"
        headers = [(name, text) for entry in match.get("headers") or [] for name, text in entry.items()]
        for field, text in (("pathRegex", path), *headers):
            check_regex(field, text)
        named = tuple(NamedMatch(name.lower(), MatchKind.REGEX, text) for name, text in headers)
        methods = match.get("methods") or [ALL_METHODS]
        for method in [""] if ALL_METHODS in methods else methods:
            yield Match(PathMatch(MatchKind.REGEX, path), method, named)
