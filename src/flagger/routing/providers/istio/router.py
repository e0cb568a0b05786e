"""The router of Istio.

Field meanings: https://istio.io/latest/docs/reference/config/networking/. Destinations are always the primary
first, then the canary. Routes are ours as a whole, but fields that we know nothing of are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest, plain
from flagger.routing.overlay import Exactly
from flagger.routing.providers.istio.destinations import MESH, is_weighted, split_of, weighted
from flagger.routing.providers.istio.http import ACTIONS, OWNED, http_routes
from flagger.routing.providers.istio.takeover import check_free, is_ours, keeping_original, original

GROUP, VERSION = "networking.istio.io", "v1beta1"
VIRTUAL_SERVICE = Kind(GROUP, VERSION, "VirtualService", "virtualservices")
DESTINATION_RULE = Kind(GROUP, VERSION, "DestinationRule", "destinationrules")


class Istio:
    """Splits by weights, matches requests and their sources, mirrors, pins by cookies; TCP is only split."""

    early: Sequence[Kind] = ()
    kinds: Sequence[Kind] = (VIRTUAL_SERVICE, DESTINATION_RULE)

    def __init__(self, *, tcp: bool = False) -> None:
        self._section = "tcp" if tcp else "http"
        self.features = frozenset({Feature.WEIGHTS} if tcp else Feature)

    def places(self, canary: Canary) -> Sequence[Place]:
        """The VirtualService, and a DestinationRule for each side."""
        apex, primary, candidate = canary.service_names
        rules = [Place(DESTINATION_RULE, canary.namespace, name) for name in (candidate, primary)]
        return (Place(VIRTUAL_SERVICE, canary.namespace, apex), *rules)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The DestinationRules, so that the sides are spoken to as asked for, then the VirtualService."""
        route, *rules = self.places(canary)
        return [
            *(_destination_rule(canary, place, live.get(place)) for place in rules),
            self._virtual_service(canary, split, route, live.get(route)),
        ]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the last route that names both sides; see `Router.split_of`."""
        place, *_ = self.places(canary)
        route = live.get(place)
        if route is None:
            raise RouteError(f"{place} not found")
        found = split_of(canary, route["spec"].get(self._section) or ())
        if found is None:
            _, primary, candidate = canary.service_names
            raise RouteError(f"{place} has no route in spec.{self._section} with {primary} and {candidate}")
        return found

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """The VirtualService as it was before the Canary, if it was there before."""
        place, *_ = self.places(canary)
        before = original(canary, place, live[place]) if place in live else None
        return {} if before is None else {place: before}

    def _virtual_service(self, canary: Canary, split: Split, place: Place, live: Object | None) -> Object:
        if live is not None:
            check_free(canary, place, live)
        found = (live or {}).get("spec") or {}
        spec = {**_listening(canary, found), "http": None, "tcp": None}
        routes = list(http_routes(canary, split)) if self._section == "http" else [_tcp_route(canary, split)]
        kept = _fields_of_others(canary, found.get(self._section) or ())
        spec[self._section] = Exactly([{**kept, **route} for route in routes])
        desired = manifest(VIRTUAL_SERVICE, canary, place.name, spec)
        return desired if live is None else keeping_original(canary, desired, live)


def _listening(canary: Canary, live: Object) -> Object:
    """For which hosts and gateways the routes are; a delegate has none, its root has them."""
    service = canary.spec.service
    if service.delegation:
        if service.hosts or service.gateways:
            raise RouteError(
                f"spec.service.delegation of {canary.name}.{canary.namespace} can't be combined with hosts or "
                "gateways: write them into the root VirtualService"
            )
        # An empty list that somebody's client has dropped is as good.
        return {"hosts": [] if live.get("hosts") or not live else live.get("hosts"), "gateways": None}
    apex = canary.service_names.apex
    named = list(service.hosts)
    hosts = named if {apex, "*"} & set(named) else [*named, apex]
    return {"hosts": hosts, "gateways": list(service.gateways) or [MESH]}


def _tcp_route(canary: Canary, split: Split) -> Object:
    matches = [{"port": match.port} if match.port else {} for match in canary.spec.service.match]
    return {**({"match": matches} if matches else {}), "route": weighted(canary, split)}


def _fields_of_others(canary: Canary, routes: Sequence[Object]) -> Object:
    """What others put into our route, such as a name or a fault; it counts in all that are made of it."""
    ours = [route for route in routes if is_weighted(canary, route)]
    return {name: value for name, value in ours[-1].items() if name not in OWNED | ACTIONS} if ours else {}


def _destination_rule(canary: Canary, place: Place, live: Object | None) -> Object:
    """How a side is spoken to. A rule of the user's keeps its policy where the Canary has none."""
    policy = canary.spec.service.traffic_policy
    spec: Object = {"host": place.name}
    if policy is not None:
        spec["trafficPolicy"] = Exactly(plain(policy))
    elif live is None or is_ours(canary, live):
        spec["trafficPolicy"] = None
    metadata = {
        "name": place.name,
        "namespace": place.namespace,
        "ownerReferences": [canary.owner_reference],
    }
    return {"apiVersion": place.kind.api_version, "kind": place.kind.kind, "metadata": metadata, "spec": spec}
