"""The router of Apache APISIX: a route that outranks the user's own, with one rule copied from it.

Field meanings: https://apisix.apache.org/docs/ingress-controller/references/apisix_route_v2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.copies import copy_of, original_of, written_as
from flagger.routing.shares import share_of

APISIX_ROUTE = Kind("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes")
PRIORITY = 10000
"""Above any that users give, so that the copy wins over the original."""
DEFAULT_WEIGHT = 100
"""What APISIX takes a missing weight for."""
_FIELD = "spec.routeRef"


class Apisix:
    """Splits by the weights of backends; can't match, mirror or pin requests."""

    features = frozenset({Feature.WEIGHTS})
    kinds: Sequence[Kind] = (APISIX_ROUTE,)
    early = False

    def places(self, canary: Canary) -> Sequence[Place]:
        """The copy, and the user's own route."""
        original = _original(canary)
        return (_copy(canary, original), original) if original else ()

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The copy; see `Router.desired`.

        Once it is there its weights can be moved without the original, so that a run can always be taken back.
        """
        copy = _copy(canary, _original(canary))
        try:
            source, rule = _usable(canary, live)
        except RouteError:
            divided = _rule_with(canary.service_names.primary, live[copy]) if copy in live else None
            if divided is None:
                raise
            source, rule = live[copy], divided
        spec = {key: value for key, value in source["spec"].items() if key not in ("http", "stream")}
        spec["http"] = [_divided(canary, split, rule)]
        return [copy_of({**source, "spec": spec}, canary, copy, live)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the rule that leads to the primary; see `Router.split_of`."""
        place, (_, primary, candidate) = _copy(canary, _original(canary)), canary.service_names
        if place not in live:
            raise RouteError(f"{place} not found")
        rule = _rule_with(primary, live[place])
        if rule is None:
            raise RouteError(f"{place} has no rule with the backend {primary}")
        weights = {each["serviceName"]: each.get("weight", DEFAULT_WEIGHT) for each in rule["backends"]}
        split = Split(share_of([weights[primary]], [weights.get(candidate, 0)]))
        with written_as(split):
            _usable(canary, live)
        return split

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Nothing: the copy goes with the Canary, and the user's own route was never changed."""
        return {}


def _original(canary: Canary) -> Place | None:
    ref = canary.spec.route_ref
    return Place(APISIX_ROUTE, canary.namespace, ref.name) if ref and ref.name else None


def _copy(canary: Canary, original: Place | None) -> Place:
    name = original.name if original else ""
    return Place(APISIX_ROUTE, canary.namespace, f"{name}-{canary.service_names.apex}-canary")


def _usable(canary: Canary, live: Live) -> tuple[Object, Object]:
    """The user's route, and its rule that leads to the apex Service and to nothing else.

    Raises:
        RouteError: there is none; names object and field.
    """
    apex, original = canary.service_names.apex, _original(canary)
    source = original_of(live, original, _FIELD)
    rule = _rule_with(apex, source)
    if rule is None:
        fix = f"add one, or name another route in {_FIELD}"
        raise RouteError(f"{original}: no rule of spec.http has the backend {apex}: {fix}")
    backends = len(rule["backends"])
    if backends > 1:
        where = f"{original}: rule {rule.get('name', '')} of spec.http"
        raise RouteError(f"{where} has {backends} backends: leave the Service {apex} alone in it")
    return source, rule


def _rule_with(service: str, route: Object) -> Object | None:
    """The first rule with a Service among its backends."""
    for rule in route["spec"].get("http") or ():
        if any(backend.get("serviceName") == service for backend in rule.get("backends") or ()):
            return dict(rule)
    return None


def _divided(canary: Canary, split: Split, rule: Object) -> Object:
    """The rule with both sides as its backends, like its first one; upstream always writes `websocket`."""
    backend, *_ = rule["backends"]
    _, primary, candidate = canary.service_names
    backends = [
        {**backend, "serviceName": name, "weight": weight}
        for name, weight in ((primary, split.primary), (candidate, split.canary))
    ]
    return {"websocket": False, **rule, "priority": PRIORITY, "backends": backends}
