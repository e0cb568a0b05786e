"""Which requests a route of a VirtualService is for: conditions of the service, of an A/B test, of a cookie.

Conditions are added to one another; where two name the same header, the later one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from flagger.api.canary import Canary
from flagger.api.matching import HeaderMatch
from flagger.kube.objects import Object
from flagger.routing.manifest import plain


def service_matches(canary: Canary) -> list[Object]:
    """The requests that the service takes; all when empty."""
    return [plain(match) for match in canary.spec.service.match]


def tested_matches(canary: Canary) -> list[Object]:
    """The requests of the service that an A/B test is about; empty when there is no such test."""
    return [
        _both(match, condition)
        for condition, match in product(_conditions(canary), service_matches(canary) or [{}])
    ]


def cookie_matches(canary: Canary, pattern: str) -> list[Object]:
    """The requests of the service whose clients carry a cookie."""
    return [_with_cookie(match, pattern) for match in service_matches(canary) or [{}]]


def _conditions(canary: Canary) -> Iterator[Object]:
    for match in canary.spec.analysis.match:
        headers = {name: _text(condition) for name, condition in match.headers.items()}
        parts = {
            "headers": headers,
            "queryParams": plain(match.query_params),
            "sourceLabels": plain(match.source_labels),
        }
        yield {name: part for name, part in parts.items() if part}


def _text(condition: HeaderMatch) -> Any:
    """A condition on a header; Istio knows no suffixes."""
    if condition.suffix is not None:
        return {"regex": f".*{re.escape(condition.suffix)}"}
    return plain(condition)


def _with_cookie(match: Object, pattern: str) -> Object:
    """A condition of the service on the same header stays: to Envoy both spellings are one header."""
    name = "cookie" if "Cookie" in match.get("headers", {}) else "Cookie"
    headers = {**match.get("headers", {}), name: {"regex": pattern}}
    return {**match, "headers": headers}


def _both(match: Object, condition: Object) -> Object:
    return {**match, **{part: _merged(match.get(part, {}), extra) for part, extra in condition.items()}}


def _merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> Object:
    named = {name.lower() for name in extra}
    return {**{name: value for name, value in base.items() if name.lower() not in named}, **extra}
