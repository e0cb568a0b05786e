"""Gloo Edge: VirtualServices, the RouteTables that they delegate to, and Upstreams that are Services.

Prefixes are whole segments here. Of a route's options the rewrite of its prefix and the time limit are served.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object, has_labels, key_of, name_of, namespace_of
from flagger.sandbox.dataplane.kinds import GLOO_ROUTE_TABLE, GLOO_UPSTREAM, GLOO_VIRTUAL_SERVICE
from flagger.sandbox.dataplane.routes import Match, Rule, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution, Report
from flagger.sandbox.dataplane.translators.fronts import at_fronts
from flagger.sandbox.dataplane.translators.routetable.actions import action_of
from flagger.sandbox.dataplane.translators.routetable.matchers import matches_of

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Delegation:
    """What is left to the routes of `holder`: the requests of `matches`.

    `above` are the keys of those that delegate to it, and its own. `problems` has what is wrong, by key.
    """

    seen: Snapshot
    holder: Object
    matches: Sequence[Match]
    above: tuple[str, ...]
    problems: dict[str, str]

    def to(self, holder: Object, matches: Sequence[Match]) -> Self:
        """What `holder` leaves to another one."""
        return replace(self, holder=holder, matches=matches, above=(*self.above, _key(holder)))


class Gloo:
    """Reads what Gloo reads."""

    needs = (GLOO_VIRTUAL_SERVICE, GLOO_ROUTE_TABLE, GLOO_UPSTREAM, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The hosts of all VirtualServices, at the controller's front doors, and all statuses."""
        problems: dict[str, str] = {}
        hosts = [_host(service, seen, problems) for service in seen.all(GLOO_VIRTUAL_SERVICE)]
        reports = [
            Report(kind, obj, {"statuses": {"gloo-system": _status(problems.get(_key(obj)))}})
            for kind in (GLOO_VIRTUAL_SERVICE, GLOO_ROUTE_TABLE)
            for obj in seen.all(kind)
        ]
        return Contribution(fronts=at_fronts(seen, "gloo", hosts), reports=tuple(reports))


def _host(service: Object, seen: Snapshot, problems: dict[str, str]) -> VirtualHost:
    virtual = service["spec"].get("virtualHost") or {}
    given = Delegation(seen, service, (Match(),), (_key(service),), problems)
    rules = tuple(_rules(virtual.get("routes") or (), given))
    return VirtualHost(tuple(virtual.get("domains") or ("*",)), rules)


def _rules(routes: Sequence[Object], given: Delegation) -> Iterator[Rule]:
    """The rules of some routes in the order in which they are written; a faulty route is left out."""
    for index, route in enumerate(routes):
        try:
            yield from list(_rules_of(route, given))
        except FieldError as error:
            given.problems[_key(given.holder)] = f"route {index}: {error}"


def _rules_of(route: Object, given: Delegation) -> Iterator[Rule]:
    matches = list(matches_of(route, given.matches))
    if not route.get("delegateAction"):
        yield from (Rule(match, action_of(route, match, given.seen)) for match in matches)
        return
    for table in _tables(route["delegateAction"], given):
        if _key(table) in given.above:
            raise FieldError(
                "delegateAction", f"{key_of(table)} delegates to itself", "remove one delegation"
            )
        yield from _rules(table["spec"].get("routes") or (), given.to(table, matches))


def _status(problem: str | None) -> Object:
    if problem is None:
        return {"state": "Accepted", "reason": "", "reportedBy": "gloo"}
    return {"state": "Rejected", "reason": problem, "reportedBy": "gloo"}


def _key(obj: Object) -> str:
    """Tells a VirtualService from a RouteTable of the same name."""
    return f"{'service' if 'virtualHost' in obj['spec'] else 'table'} {key_of(obj)}"


def _tables(action: Object, given: Delegation) -> Sequence[Object]:
    """The RouteTables that an action names or selects; selected ones go by their weights."""
    ref, selector, seen = action.get("ref"), action.get("selector"), given.seen
    if ref:
        found = seen.get(GLOO_ROUTE_TABLE, ref.get("namespace", ""), ref.get("name", ""))
        return [] if found is None else [found]
    if not selector:
        return []
    namespaces = selector.get("namespaces") or [namespace_of(given.holder)]
    chosen = [
        table
        for table in seen.all(GLOO_ROUTE_TABLE)
        if (EVERYWHERE in namespaces or namespace_of(table) in namespaces)
        and has_labels(table, selector.get("labels") or {})
    ]
    return sorted(chosen, key=lambda table: (table["spec"].get("weight") or 0, name_of(table)))
