"""The HTTP routes of a VirtualService, in the order in which Istio tries them."""

from __future__ import annotations

from collections.abc import Iterator

from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.cookies import canary_cookie, dropped_cookie, pattern, primary_cookie
from flagger.routing.manifest import plain
from flagger.routing.providers.istio.destinations import destination, weighted
from flagger.routing.providers.istio.matches import cookie_matches, service_matches, tested_matches

OWNED = frozenset(
    {"match", "route", "rewrite", "timeout", "retries", "corsPolicy", "headers", "mirror", "mirrorPercentage"}
)
"""The fields of a route that are ours; of what else is there, all but other actions is kept."""
ACTIONS = frozenset({"redirect", "directResponse", "delegate"})
"""What a route can do instead of passing requests on."""


def http_routes(canary: Canary, split: Split) -> Iterator[Object]:
    """The routes that make a split."""
    tested = tested_matches(canary)
    if tested:
        yield _route(canary, tested, split)
        yield _template(canary, service_matches(canary)) | {"route": [_alone(canary)]}
    else:
        yield from _pinned(canary, split)
        yield _weighted(canary, split)


def _pinned(canary: Canary, split: Split) -> Iterator[Object]:
    """The routes of clients that carry a cookie: they stay where they are, or have to drop an old one."""
    affinity = canary.spec.analysis.session_affinity
    if affinity is None:
        return
    dropped = dropped_cookie(canary, affinity)
    if split.canary:
        for cookie, side in (
            (canary_cookie(canary, affinity), AWAY),
            (primary_cookie(canary, affinity), HOME),
        ):
            if cookie:
                yield _route(canary, cookie_matches(canary, pattern(cookie)), side)
    elif dropped:
        route = _route(canary, cookie_matches(canary, pattern(dropped)), HOME)
        yield route | {"headers": _with_cookie(route.get("headers") or {}, dropped)}


def _weighted(canary: Canary, split: Split) -> Object:
    """The route that divides everybody else; while it does it hands out the cookies, and it has the mirror."""
    route = _route(canary, service_matches(canary), split)
    affinity = canary.spec.analysis.session_affinity
    if split.mirrored:
        route |= _mirror(canary)
    if affinity is None or not split.canary:
        return route
    cookies = primary_cookie(canary, affinity), canary_cookie(canary, affinity)
    given = [
        {**part, "headers": _with_cookie({}, cookie)} if cookie else part
        for part, cookie in zip(route["route"], cookies, strict=True)
    ]
    return route | {"route": given}


def _route(canary: Canary, matches: list[Object], split: Split) -> Object:
    return _template(canary, matches) | {"route": weighted(canary, split)}


def _alone(canary: Canary) -> Object:
    return {"destination": destination(canary, canary.service_names.primary), "weight": 100}


def _template(canary: Canary, matches: list[Object]) -> Object:
    """What the service asks for on every route."""
    service = canary.spec.service
    retries = {"attempts": 0, **plain(service.retries)} if service.retries is not None else None
    rewrite = plain(service.rewrite) if service.rewrite is not None else None
    asked = {
        "match": matches or None,
        "rewrite": {key: value for key, value in rewrite.items() if key != "type"}
        if rewrite is not None
        else None,
        "timeout": service.timeout or None,
        "retries": retries,
        "corsPolicy": plain(service.cors_policy),
        "headers": plain(service.headers),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _mirror(canary: Canary) -> Object:
    share = canary.spec.analysis.mirror_weight
    mirror = {"mirror": {"host": canary.service_names.canary}}
    return mirror | ({"mirrorPercentage": {"value": float(share)}} if share > 0 else {})


def _with_cookie(headers: Object, cookie: str) -> Object:
    """Header changes with one more answer header, the service's own untouched."""
    response = headers.get("response", {})
    added = {**response.get("add", {}), "Set-Cookie": cookie}
    return {**headers, "response": {**response, "add": added}}
