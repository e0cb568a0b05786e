"""The router of Contour: one HTTPProxy of the apex's name, which the user's root HTTPProxy includes.

Field meanings: https://projectcontour.io/docs/main/config/api/ (HTTPProxy). Services are always the primary
first, then the canary. What is owned and not wanted is None; a weight of 0 is one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import HOME, Feature, Split
from flagger.routing.base import Flags, Live, Place, RouteError
from flagger.routing.manifest import manifest
from flagger.routing.tested import Header, cannot, tested_headers

HTTP_PROXY = Kind("projectcontour.io", "v1", "HTTPProxy", "httpproxies")
LINKERD_HEADER = "l5d-dst-override"
"""Tells Linkerd, where Contour is part of its mesh, which Service the request is for."""

IDLE_TIMEOUT = "5m"
_PATHS = ("prefix", "exact", "regex")
_TESTS = ("exact", "contains", "regex", "present", "notpresent", "notexact", "notcontains", "ignoreCase")


class Contour:
    """Splits by the weights of a route's services, matches headers by exact value or part of it."""

    features = frozenset({Feature.WEIGHTS, Feature.MATCH})
    kinds: Sequence[Kind] = (HTTP_PROXY,)
    early: Sequence[Kind] = ()

    def __init__(self, flags: Flags) -> None:
        self._ingress_class = flags.ingress_class

    def places(self, canary: Canary) -> Sequence[Place]:
        """The one HTTPProxy."""
        return (_place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The HTTPProxy; see `Router.desired`."""
        spec: Object = {"routes": list(_routes(canary, split))}
        if self._ingress_class:
            spec["ingressClassName"] = self._ingress_class
        return [manifest(HTTP_PROXY, canary, canary.service_names.apex, spec)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the first route; see `Router.split_of`."""
        place = _place(canary)
        proxy = live.get(place)
        if proxy is None:
            raise RouteError(f"{place} not found")
        (route, *_) = proxy["spec"].get("routes") or [{}]
        weights = {service["name"]: service.get("weight", 0) for service in route.get("services") or ()}
        _, primary, candidate = canary.service_names
        if primary not in weights or candidate not in weights:
            raise RouteError(f"spec.routes[0] of {place} doesn't have the services {primary} and {candidate}")
        total = weights[primary] + weights[candidate]
        return Split(round(100 * weights[candidate] / total) if total else 50)  # without weights: even shares

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Nothing: the proxy goes with the Canary, or stays on the primary where it was there before."""
        return {}


def _place(canary: Canary) -> Place:
    return Place(HTTP_PROXY, canary.namespace, canary.service_names.apex)


def _routes(canary: Canary, split: Split) -> Iterator[Object]:
    """The weighted route; in an A/B test one for each of its conditions, and then one for all others."""
    path = _path(canary)
    tested = [_conditions(canary, path, headers) for headers in tested_headers(canary, "Contour")]
    for conditions in tested:
        yield _route(canary, conditions, split)
    yield _route(canary, [_condition(path, None)], HOME if tested else split)


def _route(canary: Canary, conditions: list[Object], split: Split) -> Object:
    _, primary, candidate = canary.service_names
    services = [_service(canary, primary, split.primary), _service(canary, candidate, split.canary)]
    return {
        "conditions": conditions,
        "services": services,
        "timeoutPolicy": _timeouts(canary),
        "retryPolicy": _retries(canary),
    }


def _path(canary: Canary) -> str:
    """The prefix of the first match; all else that `service.match` says is for other providers."""
    (match, *_) = canary.spec.service.match or (None,)
    return (match.uri.prefix if match and match.uri else "") or "/"


def _conditions(canary: Canary, path: str, headers: Sequence[Header]) -> list[Object]:
    """All hold together; a proxy may name the path in one of them only."""
    tests = [_header(canary, header) for header in headers]
    if len(tests) == 1:
        return [_condition(path, tests[0])]
    return [_condition(path, None), *(_condition(None, test) for test in tests)]


def _condition(path: str | None, header: Object | None) -> Object:
    return dict.fromkeys(_PATHS) | {"prefix": path, "header": header, "queryParameter": None}


def _header(canary: Canary, header: Header) -> Object:
    match = header.match
    if match.exact is not None:
        return dict.fromkeys(_TESTS) | {"name": header.name, "exact": match.exact}
    part = match.prefix or match.suffix
    if part:
        return dict.fromkeys(_TESTS) | {
            "name": header.name,
            "contains": part,
        }  # as close as Contour comes to it
    raise cannot(canary, header.field, "Contour can't express it", "use exact, prefix or suffix")


def _service(canary: Canary, name: str, weight: int) -> Object:
    port = canary.spec.service.port
    value = f"{name}.{canary.namespace}.svc.cluster.local:{port}"
    return {
        "name": name,
        "port": port,
        "weight": weight or None,
        "requestHeadersPolicy": {"set": [{"name": LINKERD_HEADER, "value": value}]},
    }


def _timeouts(canary: Canary) -> Object | None:
    timeout = canary.spec.service.timeout
    return {"response": timeout, "idle": IDLE_TIMEOUT} if timeout else None


def _retries(canary: Canary) -> Object | None:
    retries = canary.spec.service.retries
    if retries is None:
        return None
    reasons = [reason.strip() for reason in retries.retry_on.split(",") if reason.strip()]
    limit = retries.per_try_timeout or None
    return {"count": retries.attempts, "perTryTimeout": limit, "retryOn": reasons or None}
