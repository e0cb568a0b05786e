"""The router of Apache APISIX: a route that outranks the user's own, with one rule copied from it.

Field meanings: https://apisix.apache.org/docs/ingress-controller/references/apisix_route_v2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.copies import copy_of, original_of
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
        """The copy; see `Router.desired`."""
        original = _original(canary)
        source = original_of(live, original, _FIELD)
        spec = {key: value for key, value in source["spec"].items() if key not in ("http", "stream")}
        spec["http"] = [_divided(canary, split, _rule_of(canary, source, str(original)))]
        return [copy_of({**source, "spec": spec}, canary, _copy(canary, original), live)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the rule that leads to the primary; see `Router.split_of`."""
        place, (_, primary, candidate) = _copy(canary, _original(canary)), canary.service_names
        if place not in live:
            raise RouteError(f"{place} not found")
        for rule in live[place]["spec"].get("http") or ():
            weights = {
                backend["serviceName"]: backend.get("weight", DEFAULT_WEIGHT)
                for backend in rule.get("backends") or ()
            }
            if primary in weights:
                return Split(share_of([weights[primary]], [weights.get(candidate, 0)]))
        raise RouteError(f"{place} has no rule with the backend {primary}")

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Nothing: the copy goes with the Canary, and the user's own route was never changed."""
        return {}


def _original(canary: Canary) -> Place | None:
    ref = canary.spec.route_ref
    return Place(APISIX_ROUTE, canary.namespace, ref.name) if ref and ref.name else None


def _copy(canary: Canary, original: Place | None) -> Place:
    name = original.name if original else ""
    return Place(APISIX_ROUTE, canary.namespace, f"{name}-{canary.service_names.apex}-canary")


def _rule_of(canary: Canary, source: Object, where: str) -> Object:
    """The rule that leads to the apex Service, and to nothing else."""
    apex = canary.service_names.apex
    for index, rule in enumerate(source["spec"].get("http") or ()):
        backends = rule.get("backends") or ()
        if not any(backend.get("serviceName") == apex for backend in backends):
            continue
        if len(backends) == 1:
            return dict(rule)
        name = rule.get("name", "")
        raise RouteError(
            f"{where}: spec.http[{index}] ({name}) has {len(backends)} backends: leave the Service {apex} alone in it"
        )
    raise RouteError(
        f"{where}: no rule of spec.http has the backend {apex}: add one, or name another route in {_FIELD}"
    )


def _divided(canary: Canary, split: Split, rule: Object) -> Object:
    """The rule with both sides as its backends; upstream always writes `websocket`."""
    (backend,) = rule["backends"]
    _, primary, candidate = canary.service_names
    backends = [
        {**backend, "serviceName": name, "weight": weight}
        for name, weight in ((primary, split.primary), (candidate, split.canary))
    ]
    return {"websocket": False, **rule, "priority": PRIORITY, "backends": backends}
