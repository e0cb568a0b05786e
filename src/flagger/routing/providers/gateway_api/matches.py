"""Which requests a rule of an HTTPRoute is for: the matches of the service and those of an A/B test.

What is owned and not wanted is None: a condition that was taken out of the Canary must leave the live route.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from flagger.api.canary import Canary
from flagger.api.matching import HeaderMatch, HttpMatch, StringMatch
from flagger.kube.objects import Object
from flagger.routing.base import RouteError

_EVERY_PATH = {"type": "PathPrefix", "value": "/"}
_SERVICE, _ANALYSIS = "spec.service.match", "spec.analysis.match"


def service_matches(canary: Canary) -> list[Object]:
    """The requests that the service takes; any one match suffices.

    Raises:
        RouteError: a condition that a route can't hold; names the field.
    """
    return [_match(match) for match in canary.spec.service.match] or [_match(HttpMatch())]


def tested_matches(canary: Canary) -> list[Object]:
    """The requests of the service that an A/B test is about; empty when there is no such test.

    Conditions are added to those of the service; where both name a header, that of the A/B test counts.

    Raises:
        RouteError: a condition that a route can't hold; names the field.
    """
    found = []
    for condition, match in product(canary.spec.analysis.match, service_matches(canary)):
        extra = _conditions(_ANALYSIS, condition.headers, condition.query_params)
        if not any(extra.values()):
            raise RouteError(
                f"{_ANALYSIS}: Gateway API matches by headers and queryParams only; add one of them"
            )
        found.append(match | {part: _merged(match[part], added) for part, added in extra.items()})
    return found


def narrowed(matches: list[Object], header: Object) -> list[Object]:
    """The matches for those requests that meet a condition on one header as well."""
    return [match | {"headers": _merged(match["headers"], [header])} for match in matches]


def _match(match: HttpMatch) -> Object:
    method = match.method.exact if match.method else None
    if match.method is not None and not method:
        raise RouteError(f"{_SERVICE}.method: Gateway API knows exact methods only; use exact")
    conditions = _conditions(_SERVICE, match.headers, match.query_params)
    return {"path": _path(match.uri), "method": method, **conditions}


def _path(uri: StringMatch | None) -> Object:
    if uri is None:
        return dict(_EVERY_PATH)
    for kind, value in (("RegularExpression", uri.regex), ("Exact", uri.exact), ("PathPrefix", uri.prefix)):
        if value:
            return {"type": kind, "value": value}
    raise RouteError(f"{_SERVICE}.uri is empty; use exact, prefix or regex")


def _conditions(
    field: str,
    headers: Mapping[str, StringMatch] | Mapping[str, HeaderMatch],
    query: Mapping[str, StringMatch],
) -> Object:
    found = {
        "headers": [_condition(f"{field}.headers", name, headers[name]) for name in sorted(headers)],
        "queryParams": [_condition(f"{field}.queryParams", name, query[name]) for name in sorted(query)],
    }
    return {part: conditions or None for part, conditions in found.items()}


def _condition(field: str, name: str, match: StringMatch | HeaderMatch) -> Object:
    if match.exact is not None:
        return {"type": "Exact", "name": name, "value": match.exact}
    if match.regex is not None:
        return {"type": "RegularExpression", "name": name, "value": match.regex}
    raise RouteError(f"{field}.{name}: Gateway API can't express this condition; use exact or regex")


def _merged(base: list[Object] | None, extra: list[Object] | None) -> list[Object] | None:
    taken = {item["name"].lower() for item in extra or ()}
    merged = [*(extra or ()), *(item for item in base or () if item["name"].lower() not in taken)]
    return merged or None
