"""Which requests an A/B test is about, for APIs that can look at headers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flagger.api.canary import Canary
from flagger.api.matching import HeaderMatch
from flagger.routing.base import RouteError


class Header(NamedTuple):
    """A condition on one header; `field` is where the Canary says it."""

    field: str
    name: str
    match: HeaderMatch


def tested_headers(canary: Canary, api: str) -> Sequence[Sequence[Header]]:
    """The conditions of an A/B test: any one group suffices, and within it all headers, which go by name.

    Empty without such a test. `api` is what the routes are of, for messages.

    Raises:
        RouteError: a condition that isn't about headers alone would be met by others too; names the field.
    """
    return [list(_headers(canary, index, api)) for index in range(len(canary.spec.analysis.match))]


def cannot(canary: Canary, field: str, problem: str, fix: str) -> RouteError:
    """What to raise for a field that can't be expressed."""
    return RouteError(f"{field} of {canary.name}.{canary.namespace}: {problem}; {fix}")


def _headers(canary: Canary, index: int, api: str) -> Iterator[Header]:
    match, field = canary.spec.analysis.match[index], f"spec.analysis.match[{index}]"
    for name, given in (("queryParams", match.query_params), ("sourceLabels", match.source_labels)):
        if given:
            raise cannot(canary, f"{field}.{name}", f"{api} can match by headers only", "use headers")
    if not match.headers:
        raise cannot(canary, field, "it would select every request", "add headers")
    for name in sorted(match.headers):
        yield Header(f"{field}.headers.{name}", name, match.headers[name])
