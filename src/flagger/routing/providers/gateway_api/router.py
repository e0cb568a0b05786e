"""The router of Gateway API.

Field meanings: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPRoute). Backends are always the primary
first, then the canary. What is owned and not wanted is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest
from flagger.routing.providers.gateway_api.filters import mirror_to, service_filters
from flagger.routing.providers.gateway_api.matches import service_matches, tested_matches


class GatewayApi:
    """Splits by backend weights, matches headers and query parameters, mirrors by a filter.

    v1beta1 routes have neither timeouts nor CORS, and their acceptance isn't waited for.
    """

    features = frozenset({Feature.WEIGHTS, Feature.MATCH, Feature.MIRROR, Feature.MIRROR_THEN_WEIGHTS})
    early = False

    def __init__(self, version: str) -> None:
        self.route_kind = Kind("gateway.networking.k8s.io", version, "HTTPRoute", "httproutes")
        self.kinds: Sequence[Kind] = (self.route_kind,)
        self._current = version == "v1"

    def places(self, canary: Canary) -> Sequence[Place]:
        """The one HTTPRoute."""
        return (self._place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The HTTPRoute; see `Router.desired`."""
        service = canary.spec.service
        if not service.gateway_refs:
            raise RouteError(
                f"spec.service.gatewayRefs of {canary.name}.{canary.namespace} is empty: "
                "name the Gateway that the HTTPRoute attaches to"
            )
        spec = {
            "parentRefs": _parents(canary),
            "hostnames": list(service.hosts) or None,
            "rules": list(self._rules(canary, split)),
        }
        return [manifest(self.route_kind, canary, canary.service_names.apex, spec)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the last rule that names both sides; see `Router.split_of`."""
        place = self._place(canary)
        route = live.get(place)
        if route is None:
            raise RouteError(f"{place} not found")
        splits = [_split_of(rule, canary) for rule in route["spec"].get("rules") or ()]
        found = [split for split in splits if split is not None]
        if not found:
            _, primary, candidate = canary.service_names
            raise RouteError(f"{place} has no rule with the backends {primary} and {candidate}")
        if self._current:
            _check_accepted(route, place, found[-1])
        return found[-1]

    def _place(self, canary: Canary) -> Place:
        return Place(self.route_kind, canary.namespace, canary.service_names.apex)

    def _rules(self, canary: Canary, split: Split) -> Iterator[Object]:
        """The weighted rule; in an A/B test that of the matching requests, and then one for all others."""
        tested = tested_matches(canary)
        if tested:
            yield self._rule(canary, tested, split)
            yield self._rule(canary, service_matches(canary), None)
        else:
            yield self._rule(canary, service_matches(canary), split)

    def _rule(self, canary: Canary, matches: list[Object], split: Split | None) -> Object:
        """One rule; without a split all of its requests are the primary's."""
        _, primary, candidate = canary.service_names
        filters = list(service_filters(canary, cors=self._current))
        backends = [_backend(canary, primary) | {"weight": split.primary if split else 100}]
        if split is not None:
            backends.append(_backend(canary, candidate) | {"weight": split.canary})
        if split is not None and split.mirrored:
            filters.append(mirror_to(_backend(canary, candidate)))
        timeouts = _timeouts(canary) if self._current else None
        return {"matches": matches, "filters": filters or None, "backendRefs": backends, "timeouts": timeouts}


def _parents(canary: Canary) -> list[Object]:
    return [
        {
            "group": ref.group,
            "kind": ref.kind,
            "namespace": ref.namespace or None,
            "name": ref.name,
            "sectionName": ref.section_name or None,
            "port": ref.port,
        }
        for ref in canary.spec.service.gateway_refs
    ]


def _backend(canary: Canary, name: str) -> Object:
    backend = {"group": "", "kind": "Service", "name": name, "namespace": None}
    return backend | {"port": canary.spec.service.port}


def _timeouts(canary: Canary) -> Object | None:
    service = canary.spec.service
    given = {"request": service.timeout or None, "backendRequest": service.backend_timeout or None}
    return given if any(given.values()) else None


def _split_of(rule: Object, canary: Canary) -> Split | None:
    weights = {ref["name"]: ref.get("weight", 1) for ref in rule.get("backendRefs") or ()}
    _, primary, candidate = canary.service_names
    if primary not in weights or candidate not in weights:
        return None
    mirrored = any(
        item.get("requestMirror", {}).get("backendRef", {}).get("name") == candidate
        for item in rule.get("filters") or ()
    )
    total = weights[primary] + weights[candidate]
    return Split(round(100 * weights[candidate] / total) if total else 0, mirrored)


def _check_accepted(route: Object, place: Place, written: Split) -> None:
    """Wait for the Gateways to have taken over the current form of the route.

    Raises:
        RouteError: one of them rejects the route, or has not seen its last change yet.
    """
    generation = route["metadata"].get("generation", 0)
    statuses = (route.get("status") or {}).get("parents") or ()
    for status in statuses:
        if status.get("parentRef") not in route["spec"].get("parentRefs", ()):
            continue
        for condition in status.get("conditions") or ():
            seen = condition.get("observedGeneration", 0)
            if condition["type"] == "Accepted" and (condition["status"] != "True" or seen < generation):
                parent = status["parentRef"].get("name")
                raise RouteError(
                    f"{place} is not accepted by {parent}: Accepted={condition['status']} "
                    f"{condition.get('reason', '')} at generation {seen}, the route is at {generation}",
                    written,
                )
