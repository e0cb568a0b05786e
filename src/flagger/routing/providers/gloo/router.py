"""The router of Gloo Edge.

Field meanings: https://docs.solo.io/gloo-edge/latest/reference/api/ (RouteTable, Upstream). Destinations are
always the primary first, then the canary. What is owned and not wanted is None; a weight of 0 is one of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import SERVICE, Kind, Object
from flagger.rollout.state import HOME, Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest
from flagger.routing.providers.gloo.upstreams import UPSTREAM, desired_upstream, template_of, upstream_of
from flagger.routing.tested import Header, tested_headers

ROUTE_TABLE = Kind("gateway.solo.io", "v1", "RouteTable", "routetables")


class Gloo:
    """Splits by the weights of a route's destinations, matches headers."""

    features = frozenset({Feature.WEIGHTS, Feature.MATCH})
    kinds: Sequence[Kind] = (ROUTE_TABLE, UPSTREAM, SERVICE)
    early: Sequence[Kind] = ()

    def places(self, canary: Canary) -> Sequence[Place]:
        """The RouteTable, both Upstreams with their Services, and the Upstream that has the settings."""
        _, *sides = canary.service_names
        services = (Place(SERVICE, canary.namespace, side) for side in sides)
        upstreams = (upstream_of(canary, side) for side in sides)
        template = template_of(canary)
        return (_place(canary), *upstreams, *services, *((template,) if template else ()))

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The Upstreams, and then the RouteTable that leads to them; see `Router.desired`."""
        _, *sides = canary.service_names
        spec = {"routes": list(_routes(canary, split))}
        table = manifest(ROUTE_TABLE, canary, canary.service_names.apex, spec)
        return [*(desired_upstream(canary, side, live) for side in sides), table]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the first route; see `Router.split_of`."""
        place = _place(canary)
        table = live.get(place)
        if table is None:
            raise RouteError(f"{place} not found")
        (route, *_) = table["spec"].get("routes") or [{}]
        weights = dict(_weights(route))
        _, primary, candidate = (upstream_of(canary, name).name for name in canary.service_names)
        if primary not in weights or candidate not in weights:
            raise RouteError(
                f"spec.routes[0] of {place} doesn't lead to the Upstreams {primary} and {candidate}"
            )
        total = weights[primary] + weights[candidate]
        return Split(round(100 * weights[candidate] / total) if total else 0)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Nothing: all of it goes with the Canary, or stays on the primary where it was there before."""
        return {}


def _place(canary: Canary) -> Place:
    return Place(ROUTE_TABLE, canary.namespace, canary.service_names.apex)


def _routes(canary: Canary, split: Split) -> Iterator[Object]:
    """The weighted route; in an A/B test that of the matching requests, and then one for all others."""
    tested = [_matcher(headers) for headers in tested_headers(canary, "Gloo")]
    yield _route(canary, tested or None, split)
    if tested:
        yield _route(canary, None, HOME)


def _route(canary: Canary, matchers: list[Object] | None, split: Split) -> Object:
    """One route; the paths are those that the VirtualService delegates."""
    _, primary, candidate = (upstream_of(canary, name) for name in canary.service_names)
    destinations = [
        {
            "destination": {"upstream": {"name": place.name, "namespace": place.namespace}},
            "weight": weight or None,
        }
        for place, weight in ((primary, split.primary), (candidate, split.canary))
    ]
    return {
        "inheritablePathMatchers": True,
        "matchers": matchers,
        "routeAction": {"multi": {"destinations": destinations}},
    }


def _matcher(headers: Sequence[Header]) -> Object:
    return {"headers": [_condition(header) for header in headers], "methods": None, "queryParameters": None}


def _condition(header: Header) -> Object:
    """A condition on a header; a regular expression has to fit the whole value."""
    match = header.match
    if match.exact is not None:
        found: Object = {"value": match.exact, "regex": None}
    elif match.prefix is not None:
        found = {"value": f"{re.escape(match.prefix)}.*", "regex": True}
    elif match.suffix is not None:
        found = {"value": f".*{re.escape(match.suffix)}", "regex": True}
    else:
        found = {"value": match.regex, "regex": True}
    return {"name": header.name, "invertMatch": None, **found}


def _weights(route: Object) -> Iterator[tuple[str, int]]:
    """The names of the Upstreams that a route leads to, with their weights."""
    multi = (route.get("routeAction") or {}).get("multi") or {}
    for entry in multi.get("destinations") or ():
        upstream = (entry.get("destination") or {}).get("upstream") or {}
        yield upstream.get("name", ""), max(0, entry.get("weight") or 0)
