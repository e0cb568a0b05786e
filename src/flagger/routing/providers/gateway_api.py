"""Gateway API: one HTTPRoute of the apex's name.

Field meanings: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPRoute). Backends are always the primary
first, then the canary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from flagger.api.canary import Canary
from flagger.api.matching import AnalysisMatch, HeaderMatch, HttpMatch, StringMatch
from flagger.api.quantities import parse_duration
from flagger.api.service import CorsPolicy, HeaderChanges, HttpRewrite
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, RouteError
from flagger.routing.manifest import manifest, named_pairs

_EVERY_PATH = {"type": "PathPrefix", "value": "/"}
_CORS_MAX_AGE = 5  # seconds; what the HTTPRoute CRD fills in, so it is written out to cause no drift


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

    def desired(self, canary: Canary, split: Split) -> Sequence[Object]:
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
        name, where = canary.service_names.apex, f"{canary.service_names.apex}.{canary.namespace}"
        route = live.get(("HTTPRoute", name))
        if route is None:
            raise RouteError(f"HTTPRoute {where} not found")
        if self._current:
            _check_accepted(route, where)
        found = [split for rule in route["spec"].get("rules") or () for split in _split_of(rule, canary)]
        if not found:
            _, primary, candidate = canary.service_names
            raise RouteError(f"HTTPRoute {where} has no rule with the backends {primary} and {candidate}")
        return found[-1]

    def _rules(self, canary: Canary, split: Split) -> Iterator[Object]:
        """The weighted rule, before it the one for matching requests in an A/B test."""
        matches = [_match(match) for match in canary.spec.service.match] or [{"path": _EVERY_PATH}]
        conditions = canary.spec.analysis.match
        if conditions:
            yield self._rule(canary, _combined(conditions, matches), split)
            yield self._rule(canary, matches, None)
        else:
            yield self._rule(canary, matches, split)

    def _rule(self, canary: Canary, matches: list[Object], split: Split | None) -> Object:
        """One rule; without a split all of its requests are the primary's."""
        filters = list(_filters(canary, cors=self._current))
        if split is not None and split.mirrored:
            candidate = _backend(canary, canary.service_names.canary)
            filters.append({"type": "RequestMirror", "requestMirror": {"backendRef": candidate}})
        _, primary, candidate_name = canary.service_names
        backends = [_backend(canary, primary) | {"weight": split.primary if split else 100}]
        if split is not None:
            backends.append(_backend(canary, candidate_name) | {"weight": split.canary})
        timeouts = _timeouts(canary) if self._current else None
        return {"matches": matches, "filters": filters, "backendRefs": backends, "timeouts": timeouts}


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
    return {"group": "", "kind": "Service", "name": name, "port": canary.spec.service.port}


def _timeouts(canary: Canary) -> Object | None:
    service = canary.spec.service
    given = {"request": service.timeout, "backendRequest": service.backend_timeout}
    return {name: text for name, text in given.items() if text} or None


def _match(match: HttpMatch) -> Object:
    found: Object = {"path": _path(match.uri)}
    if match.method is not None:
        if not match.method.exact:
            raise RouteError("spec.service.match.method: Gateway API knows exact methods only; use exact")
        found["method"] = match.method.exact
    return found | _conditions("spec.service.match", match.headers, match.query_params)


def _path(uri: StringMatch | None) -> Object:
    if uri is None:
        return dict(_EVERY_PATH)
    for kind, value in (("RegularExpression", uri.regex), ("Exact", uri.exact), ("PathPrefix", uri.prefix)):
        if value:
            return {"type": kind, "value": value}
    raise RouteError("spec.service.match.uri is empty; use exact, prefix or regex")


def _conditions(
    field: str,
    headers: Mapping[str, StringMatch] | Mapping[str, HeaderMatch],
    query: Mapping[str, StringMatch],
) -> Object:
    found = {
        "headers": [_condition(f"{field}.headers", name, headers[name]) for name in sorted(headers)],
        "queryParams": [_condition(f"{field}.queryParams", name, query[name]) for name in sorted(query)],
    }
    return {name: conditions for name, conditions in found.items() if conditions}


def _condition(field: str, name: str, match: StringMatch | HeaderMatch) -> Object:
    if match.exact is not None:
        return {"type": "Exact", "name": name, "value": match.exact}
    if match.regex is not None:
        return {"type": "RegularExpression", "name": name, "value": match.regex}
    raise RouteError(f"{field}.{name}: Gateway API can't express this condition; use exact or regex")


def _combined(conditions: Sequence[AnalysisMatch], matches: Sequence[Object]) -> list[Object]:
    """Every A/B condition within every match of the service.

    Conditions are added to those of the service; where both name a header, that of the A/B test counts.
    """
    field, combined = "spec.analysis.match", []
    for condition, match in product(conditions, matches):
        extra = _conditions(field, condition.headers, condition.query_params)
        if not extra:
            raise RouteError(f"{field}: Gateway API matches by headers and queryParams only; add one of them")
        merged = {
            part: _merged(match.get(part, []), extra.get(part, [])) for part in ("headers", "queryParams")
        }
        combined.append(match | {part: found for part, found in merged.items() if found})
    return combined


def _merged(base: list[Object], extra: list[Object]) -> list[Object]:
    taken = {item["name"].lower() for item in extra}
    return extra + [item for item in base if item["name"].lower() not in taken]


def _filters(canary: Canary, *, cors: bool) -> Iterator[Object]:
    service = canary.spec.service
    if service.headers and service.headers.request is not None:
        change = _header_change(service.headers.request)
        yield {"type": "RequestHeaderModifier", "requestHeaderModifier": change}
    if service.headers and service.headers.response is not None:
        change = _header_change(service.headers.response)
        yield {"type": "ResponseHeaderModifier", "responseHeaderModifier": change}
    if service.rewrite is not None:
        yield {"type": "URLRewrite", "urlRewrite": _rewrite(service.rewrite)}
    for mirror in service.mirror:
        if mirror.backend_ref is not None:
            ref = mirror.backend_ref
            backend = {"group": ref.group, "kind": ref.kind, "name": ref.name, "port": ref.port}
            if ref.namespace:
                backend["namespace"] = ref.namespace
            yield {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}
    if cors and service.cors_policy is not None:
        yield {"type": "CORS", "cors": _cors(service.cors_policy)}


def _header_change(changes: HeaderChanges) -> Object:
    found = {"set": named_pairs(changes.set), "add": named_pairs(changes.add), "remove": list(changes.remove)}
    return {name: values for name, values in found.items() if values}


def _rewrite(rewrite: HttpRewrite) -> Object:
    found: Object = {"hostname": rewrite.authority} if rewrite.authority else {}
    if rewrite.uri and rewrite.type == "ReplacePrefixMatch":
        found["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewrite.uri}
    elif rewrite.uri:
        found["path"] = {"type": "ReplaceFullPath", "replaceFullPath": rewrite.uri}
    return found


def _cors(policy: CorsPolicy) -> Object:
    lists = {
        "allowOrigins": policy.allow_origin,
        "allowMethods": policy.allow_methods,
        "allowHeaders": policy.allow_headers,
        "exposeHeaders": policy.expose_headers,
    }
    found: Object = {name: list(values) for name, values in lists.items() if values}
    if policy.allow_credentials:
        found["allowCredentials"] = True
    return found | {"maxAge": _seconds(policy.max_age) or _CORS_MAX_AGE}


def _seconds(text: str) -> int:
    try:
        return int(parse_duration(text).total_seconds())
    except ValueError:
        return 0


def _split_of(rule: Object, canary: Canary) -> Iterator[Split]:
    weights = {ref["name"]: ref.get("weight", 1) for ref in rule.get("backendRefs") or ()}
    _, primary, candidate = canary.service_names
    if primary not in weights or candidate not in weights:
        return
    mirrored = any(
        item.get("requestMirror", {}).get("backendRef", {}).get("name") == candidate
        for item in rule.get("filters") or ()
    )
    total = weights[primary] + weights[candidate]
    yield Split(round(100 * weights[candidate] / total) if total else 0, mirrored)


def _check_accepted(route: Object, where: str) -> None:
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
                    f"HTTPRoute {where} is not accepted by {parent}: Accepted={condition['status']} "
                    f"{condition.get('reason', '')} at generation {seen}, the route is at {generation}"
                )
