"""The rules of one HTTPRoute, each match with its place in the order that the Gateway API prescribes."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from flagger.api.errors import FieldError
from flagger.api.quantities import parse_duration
from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import (
    Answer,
    Forward,
    Match,
    MatchKind,
    NamedMatch,
    PathMatch,
    PathRewrite,
    Redirect,
    Rule,
    Target,
)
from flagger.sandbox.dataplane.translators.gateway.backends import Scope, cluster_or_missing
from flagger.sandbox.dataplane.translators.gateway.filters import Effects, effects_of

PATHS = {"Exact": MatchKind.EXACT, "PathPrefix": MatchKind.PREFIX, "RegularExpression": MatchKind.REGEX}
VALUES = {"Exact": MatchKind.EXACT, "RegularExpression": MatchKind.REGEX}
PATH_ORDER = (MatchKind.EXACT, MatchKind.REGEX, MatchKind.PREFIX)
"""Exact paths win; the place of regular expressions is left open, and before prefixes they can be reached."""

Rank = tuple[int, int, bool, int, int]
NOT_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|P=|#)|\\[1-9Z]|[*+?}]\+")
"""What Python has and Envoy's engine has not: look-around, back-references, possessive repeats."""


@dataclass(frozen=True, slots=True)
class RankedRule:
    """A rule and its place among all rules for a hostname: the smallest rank wins."""

    rank: Rank
    rule: Rule


def ranked_rules(scope: Scope) -> tuple[RankedRule, ...]:
    """All matches of a route as rules, in the route's order.

    Raises:
        FieldError: something in the route cannot be served here.
    """
    found: list[RankedRule] = []
    for index, entry in enumerate(scope.route["spec"].get("rules") or [{}]):
        try:
            found.extend(_matches(entry, scope))
        except FieldError as error:
            raise FieldError(f"spec.rules[{index}].{error.field}", error.problem, error.fix) from error
    return tuple(found)


def _matches(entry: Object, scope: Scope) -> Iterator[RankedRule]:
    effects = effects_of(entry, scope)
    action = _action(entry, effects, scope)
    for wanted in entry.get("matches") or [{}]:
        match = match_of(wanted)
        rule = Rule(match, _for_match(action, match), effects.request, effects.response, effects.cors)
        if effects.cors is not None and match.method:
            # A browser asks with OPTIONS whether it may use the method.
            yield RankedRule(rank(match), replace(rule, match=_preflight(match)))
        yield RankedRule(rank(match), rule)


def _action(entry: Object, effects: Effects, scope: Scope) -> Forward | Redirect | Answer:
    if effects.redirect is not None:
        return effects.redirect
    timeouts = entry.get("timeouts") or {}
    return Forward(
        targets=tuple(_target(ref, scope) for ref in entry.get("backendRefs") or []),
        mirrors=effects.mirrors,
        host=effects.host,
        path=effects.path,
        timeout=_duration(timeouts.get("request")),
        try_timeout=_duration(timeouts.get("backendRequest")),
    )


def _target(ref: Object, scope: Scope) -> Target:
    effects = effects_of(ref, scope)
    if effects != Effects(request=effects.request, response=effects.response):
        raise FieldError(
            "backendRefs.filters",
            "a backend's filters can change headers only",
            "move the filter to the rule",
        )
    return Target(cluster_or_missing(ref, scope), ref.get("weight", 1), effects.request, effects.response)


def match_of(wanted: Object) -> Match:
    """The conditions of one match; of several conditions on one header or parameter the first counts.

    Raises:
        FieldError: a regular expression is none, or one that the engine does not have.
    """
    path = wanted.get("path") or {}
    matched = PathMatch(PATHS[path.get("type", "PathPrefix")], path.get("value", "/"))
    if matched.kind is MatchKind.REGEX:
        check_regex("matches.path", matched.value)
    return Match(
        matched,
        wanted.get("method", ""),
        tuple(_named(wanted, "headers", ignore_case=True)),
        tuple(_named(wanted, "queryParams", ignore_case=False)),
    )


def _named(wanted: Object, field: str, *, ignore_case: bool) -> Iterator[NamedMatch]:
    seen: set[str] = set()
    for entry in wanted.get(field) or []:
        name = entry["name"].lower() if ignore_case else entry["name"]
        kind = VALUES[entry.get("type", "Exact")]
        if kind is MatchKind.REGEX:
            check_regex(f"matches.{field}", entry["value"])
        if name not in seen:
            seen.add(name)
            yield NamedMatch(name, kind, entry["value"])


def check_regex(field: str, text: str) -> None:
    """Refuse what Envoy would: one bad expression would hold up every other change to the same listener.

    Raises:
        FieldError: the text is not a regular expression in RE2's syntax.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # about [[:alpha:]]
            re.compile(text)
    except re.error as error:
        raise FieldError(field, f"{text!r} is no regular expression: {error}", "correct it") from error
    if NOT_RE2.search(text):
        raise FieldError(
            field, f"{text!r} uses what RE2 does not have", "write it without look-around and the like"
        )


def rank(match: Match) -> Rank:
    """The place of a match: path type, longer path, a method, more headers, more query parameters."""
    length = len(match.path.value.rstrip("/"))
    return (
        PATH_ORDER.index(match.path.kind),
        -length,
        not match.method,
        -len(match.headers),
        -len(match.query),
    )


def _for_match(action: Forward | Redirect | Answer, match: Match) -> Forward | Redirect | Answer:
    """The action with the match's own prefix where a path rewrite refers to it.

    Raises:
        FieldError: the match has no prefix to replace.
    """
    if isinstance(action, Answer) or action.path is None or action.path.prefix is None:
        return action
    if match.path.kind is not MatchKind.PREFIX:
        raise FieldError(
            "filters",
            "ReplacePrefixMatch needs a match of type PathPrefix",
            "change the match or the rewrite",
        )
    return replace(action, path=PathRewrite(action.path.replacement, match.path.value))


def _preflight(match: Match) -> Match:
    """The match of the question that comes before such a request, without the request's own headers."""
    asked = NamedMatch("access-control-request-method", MatchKind.EXACT, match.method)
    return replace(match, method="OPTIONS", headers=(asked,))


def _duration(text: str | None) -> timedelta:
    return parse_duration(text) if text else timedelta(0)
