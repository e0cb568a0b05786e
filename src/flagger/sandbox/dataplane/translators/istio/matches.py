"""Conditions of VirtualServices: which requests a route is about."""

import re
from collections.abc import Iterator, Mapping

from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import Match, MatchKind, NamedMatch, PathMatch
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex
from flagger.sandbox.dataplane.translators.istio.scope import Scope, gateways_of

KINDS = {"exact": MatchKind.EXACT, "prefix": MatchKind.PREFIX, "regex": MatchKind.REGEX}
PSEUDO_HEADERS = {"scheme": ":scheme", "method": ":method", "authority": ":authority"}
UNKNOWN_SOURCE = ("sourceLabels", "sourceNamespace")
"""Conditions on who asks, which a data plane of one proxy for all can't tell: they never hold."""


def conditions(route: Object, scope: Scope) -> Iterator[tuple[Object, Match]]:
    """The conditions of a route that can hold at a listener, as written and as the data plane has them.

    Raises:
        FieldError: a regular expression is none.
    """
    for wanted in route.get("match") or [{}]:
        if _can_hold(wanted, scope):
            yield wanted, _match(wanted)


def _can_hold(wanted: Object, scope: Scope) -> bool:
    gateways = gateways_of(wanted, scope.namespace)
    here = not gateways or scope.gateway in gateways
    return here and wanted.get("port", scope.port) == scope.port and not any(map(wanted.get, UNKNOWN_SOURCE))


def _match(wanted: Object) -> Match:
    pseudo = {header: wanted[field] for field, header in PSEUDO_HEADERS.items() if field in wanted}
    return Match(
        _path(wanted.get("uri"), ignore_case=wanted.get("ignoreUriCase", False)),
        headers=(
            *_named(pseudo),
            *_named({name.lower(): text for name, text in (wanted.get("headers") or {}).items()}),
            *_named(
                {name.lower(): text for name, text in (wanted.get("withoutHeaders") or {}).items()},
                inverted=True,
            ),
        ),
        query=tuple(_named(wanted.get("queryParams") or {})),
    )


def _path(uri: Object | None, *, ignore_case: bool) -> PathMatch:
    """The condition on the path; a prefix is one of the text, not of whole segments as elsewhere."""
    if not uri:
        return PathMatch()
    ((kind, text),) = uri.items()
    check_regex(f"match.uri.{kind}", text if kind == "regex" else re.escape(text))
    if kind == "exact" and not ignore_case:
        return PathMatch(MatchKind.EXACT, text)
    if (kind, text) == ("prefix", "/"):
        return PathMatch()
    pattern = {"exact": re.escape(text), "prefix": f"{re.escape(text)}.*", "regex": text}[kind]
    return PathMatch(MatchKind.REGEX, f"(?i){pattern}" if ignore_case and kind != "regex" else pattern)


def _named(texts: Mapping[str, Object], *, inverted: bool = False) -> Iterator[NamedMatch]:
    for name, text in texts.items():
        if not text:
            yield NamedMatch(name, MatchKind.PRESENT, inverted=inverted)
        for kind, value in text.items():
            if kind == "regex":
                check_regex(f"match.{name}.regex", value)
            yield NamedMatch(name, KINDS[kind], value, inverted)
