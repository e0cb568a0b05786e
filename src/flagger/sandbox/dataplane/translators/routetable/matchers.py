"""Which requests a route of a VirtualService or RouteTable is about, within those that are left to it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from flagger.api.errors import FieldError
from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import Match, MatchKind, NamedMatch, PathMatch
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex

PATHS = {"prefix": MatchKind.PREFIX, "exact": MatchKind.EXACT, "regex": MatchKind.REGEX}


def matches_of(route: Object, given: Sequence[Match]) -> Iterator[Match]:
    """The matches of a route within `given`; one that reaches beyond them is left out, as Gloo refuses it.

    Raises:
        FieldError: a regular expression is none.
    """
    inherits = bool(route.get("inheritableMatchers"))
    inherits_path = inherits or bool(route.get("inheritablePathMatchers"))
    for parent in given:
        for matcher in route.get("matchers") or [{}]:
            for match in _matches(matcher):
                own_path = any(matcher.get(name) for name in PATHS)
                path = match.path if own_path or not inherits_path else parent.path
                headers = match.headers + (parent.headers if inherits else ())
                query = match.query + (parent.query if inherits else ())
                found = replace(match, path=path, headers=headers, query=query)
                if _within(found, parent):
                    yield found


def _matches(matcher: Object) -> Iterator[Match]:
    """A matcher, once for each of its methods."""
    if matcher.get("regex"):
        check_regex("matchers.regex", matcher["regex"])
    paths = [PathMatch(kind, matcher[name]) for name, kind in PATHS.items() if matcher.get(name)]
    headers = tuple(_named(entry, entry.get("name", "").lower()) for entry in matcher.get("headers") or ())
    query = tuple(_named(entry, entry.get("name", "")) for entry in matcher.get("queryParameters") or ())
    for method in matcher.get("methods") or [""]:
        yield Match(paths[0] if paths else PathMatch(), method, headers, query)


def _named(entry: Object, name: str) -> NamedMatch:
    if not name:
        raise FieldError("matchers", "a header or query parameter has no name", "name it")
    if not entry.get("value"):
        return NamedMatch(name, MatchKind.PRESENT)
    if not entry.get("regex"):
        return NamedMatch(name, MatchKind.EXACT, entry["value"])
    check_regex(f"matchers.{name}", entry["value"])
    return NamedMatch(name, MatchKind.REGEX, entry["value"])


def _within(match: Match, parent: Match) -> bool:
    """Does a match ask for all that its parent asks for?"""
    if parent.path.kind is MatchKind.PREFIX:
        path = match.path.kind is MatchKind.REGEX or match.path.value.startswith(parent.path.value)
    else:
        path = match.path == parent.path
    return path and set(parent.headers) <= set(match.headers) and set(parent.query) <= set(match.query)
