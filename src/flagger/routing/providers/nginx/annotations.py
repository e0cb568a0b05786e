"""The annotations by which ingress-nginx tells who gets the canary, written and read.

Meanings: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary
"""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.analysis import Strategy
from flagger.api.canary import Canary
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import RouteError
from flagger.routing.tested import Header, cannot, tested_headers

TESTS = ("canary-by-header", "canary-by-cookie")
API = "ingress-nginx"


def canary_annotations(canary: Canary, split: Split) -> dict[str, str]:
    """What makes `split` so, without the prefix of the keys.

    An Ingress can't divide the requests of an A/B test: they are all the canary's, or all the primary's.

    Raises:
        RouteError: a condition that annotations can't hold; names the field.
    """
    tested = _tests(canary)
    weight = 0 if tested else split.canary
    shared = {"canary": "true", "canary-weight": str(weight)}
    return shared | (tested if split == AWAY else {})


def annotated_split(canary: Canary, annotations: Mapping[str, str]) -> Split:
    """The split that annotations make, given without the prefix of their keys.

    Raises:
        RouteError: the weight is no number of percent.
    """
    if canary.spec.analysis.strategy is Strategy.AB and any(key in annotations for key in TESTS):
        return AWAY
    weight = annotations.get("canary-weight", "0")
    if not weight.isdecimal() or int(weight) > AWAY.canary:
        raise RouteError(
            f"canary-weight is {weight!r}, which is no number from {HOME.canary} to {AWAY.canary}"
        )
    return Split(int(weight))


def _tests(canary: Canary) -> dict[str, str]:
    """Who is tested: one header and one cookie at most, either of which suffices."""
    found: dict[str, str] = {}
    for headers in tested_headers(canary, API):
        if canary.spec.analysis.strategy is not Strategy.AB:
            problem = f"{API} can't divide the requests that match by weight"
            raise cannot(
                canary, "spec.analysis.match", problem, "set iterations for an A/B test, or remove it"
            )
        (first, *more) = headers
        for header in more:
            problem = f"{API} can't ask for two headers at once"
            raise cannot(canary, header.field, problem, "move it to a condition of its own, or remove it")
        test = _cookie(canary, first) if first.name.lower() == "cookie" else _header(canary, first)
        if found.keys() & test.keys():
            problem = f"{API} can test one header and one cookie"
            raise cannot(canary, first.field, problem, "remove one of the conditions")
        found |= test
    return found


def _header(canary: Canary, header: Header) -> dict[str, str]:
    match, test = header.match, {"canary-by-header": header.name}
    if match.exact is not None:
        return test | {"canary-by-header-value": match.exact}
    if match.regex is not None:
        return test | {"canary-by-header-pattern": match.regex}
    raise cannot(canary, header.field, f"{API} can't express it", "use exact or regex")


def _cookie(canary: Canary, header: Header) -> dict[str, str]:
    """The name of a cookie, which users of the canary send with the value `always`."""
    if not header.match.exact:
        problem = f"{API} knows cookies by their names, with the value always"
        raise cannot(canary, header.field, problem, "use exact with the name of a cookie")
    return {"canary-by-cookie": header.match.exact}
