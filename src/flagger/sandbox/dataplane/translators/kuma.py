"""Kuma: a TrafficRoute says who gets the requests for a Service, all of them or those of some match."""

from collections.abc import Iterator

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object
from flagger.sandbox.dataplane.kinds import TRAFFIC_ROUTE
from flagger.sandbox.dataplane.routes import Forward, Match, MatchKind, NamedMatch, PathMatch, Rule, Target
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex
from flagger.sandbox.dataplane.translators.mesh import begins_with, listeners_of, pods_of

TAG = "kuma.io/service"
KINDS = {"exact": MatchKind.EXACT, "prefix": MatchKind.PREFIX, "regex": MatchKind.REGEX}


class Kuma:
    """Routes for all clients; those for some of them are not served, as nobody knows here who asks.

    Tags are read as `<service>_<namespace>_svc_<port>`, which is how Kuma names Services of Kubernetes.
    """

    needs = (SERVICE, TRAFFIC_ROUTE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of the Services that are destinations; the first route of a Service has it."""
        mesh: dict[str, tuple[Rule, ...]] = {}
        for route in seen.all(TRAFFIC_ROUTE):
            sources = [source["match"].get(TAG) for source in route["spec"].get("sources") or []]
            if "*" in sources:
                for listener in _listeners(route, seen):
                    try:
                        mesh.setdefault(listener, tuple(_rules(route, seen)))
                    except FieldError:
                        continue
        return Contribution(mesh=mesh)


def _listeners(route: Object, seen: Snapshot) -> Iterator[str]:
    for destination in route["spec"].get("destinations") or []:
        service, port = _tagged(destination["match"], seen)
        yield from (listener for listener, number in listeners_of(service, seen).items() if number == port)


def _rules(route: Object, seen: Snapshot) -> Iterator[Rule]:
    conf = route["spec"].get("conf") or {}
    for entry in conf.get("http") or []:
        yield Rule(_match(entry["match"]), Forward(tuple(_targets(entry, seen))))
    yield Rule(Match(), Forward(tuple(_targets(conf, seen))))


def _targets(conf: Object, seen: Snapshot) -> Iterator[Target]:
    whole = [{"weight": 1, "destination": conf["destination"]}] if conf.get("destination") else []
    for part in conf.get("split") or whole:
        service, port = _tagged(part["destination"], seen)
        yield Target(pods_of(service, port), part["weight"])


def _tagged(tags: Object, seen: Snapshot) -> tuple[Object | None, int]:
    """The Service and the port that tags name."""
    match tags.get(TAG, "").split("_"):
        case [name, namespace, "svc", port] if port.isdecimal():
            return seen.get(SERVICE, namespace, name), int(port)
    return None, 0


def _match(wanted: Object) -> Match:
    """The conditions of one entry.

    Raises:
        FieldError: a regular expression is none.
    """
    headers = [(name.lower(), text) for name, text in (wanted.get("headers") or {}).items()]
    if wanted.get("method"):
        headers.insert(0, (":method", wanted["method"]))
    return Match(_path(wanted.get("path") or {}), headers=tuple(_named(*header) for header in headers))


def _path(wanted: Object) -> PathMatch:
    condition = _named("path", wanted)
    if condition.kind in {MatchKind.PREFIX, MatchKind.PRESENT}:
        return begins_with(condition.value)
    return PathMatch(condition.kind, condition.value)


def _named(name: str, wanted: Object) -> NamedMatch:
    for how, kind in KINDS.items():
        if how in wanted:
            if kind is MatchKind.REGEX:
                check_regex(name, wanted[how])
            return NamedMatch(name, kind, wanted[how])
    return NamedMatch(name, MatchKind.PRESENT)
