"""The conditions of includes and routes, which add up on the way from a root to a route."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flagger.api.errors import FieldError
from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import Match, MatchKind, NamedMatch, PathMatch
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex

PATHS = {"prefix": MatchKind.PREFIX, "exact": MatchKind.EXACT, "regex": MatchKind.REGEX}
TESTS = {
    "exact": MatchKind.EXACT,
    "prefix": MatchKind.PREFIX,
    "suffix": MatchKind.SUFFIX,
    "contains": MatchKind.CONTAINS,
    "regex": MatchKind.REGEX,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request has to be like."""

    prefix: str
    match: Match


ANY = Conditions("", Match())
"""What every request is like."""


def narrowed(within: Conditions, entry: Object, field: str) -> Conditions:
    """The conditions of an include or a route, which is at `field`, added to those it is subject to.

    Raises:
        FieldError: they contradict each other, or one says nothing.
    """
    block, field = entry.get("conditions") or (), f"{field}.conditions"
    paths = [(kind, item[name]) for item in block for name, kind in PATHS.items() if item.get(name)]
    if len(paths) > 1:
        raise FieldError(field, "the path is named more than once", "keep one prefix, exact or regex")
    ((kind, text),) = paths or [(MatchKind.PREFIX, "")]
    if text and kind is not MatchKind.REGEX and not text.startswith("/"):
        raise FieldError(field, f"the path {text!r} doesn't begin with /", "let it begin with /")
    if kind is MatchKind.REGEX:
        check_regex(field, text)
    path = re.sub("//+", "/", f"{within.prefix}{text}") or "/"
    headers = tuple(_named(entry, "header", field))
    query = tuple(_named(entry, "queryParameter", field))
    match = Match(
        PathMatch(kind, path), headers=within.match.headers + headers, query=within.match.query + query
    )
    return Conditions(path if kind is MatchKind.PREFIX else within.prefix, match)


def _named(entry: Object, part: str, field: str) -> Iterator[NamedMatch]:
    for item in entry.get("conditions") or ():
        test = item.get(part)
        if test is None:
            continue
        found = [(kind, test[name]) for name, kind in TESTS.items() if test.get(name)]
        if test.get("present"):
            found.append((MatchKind.PRESENT, ""))
        if len(found) != 1:
            problem = f"{test['name']} is compared in {len(found)} ways"
            raise FieldError(f"{field}.{part}", problem, "compare it in one way")
        ((kind, value),) = found
        if kind is MatchKind.REGEX:
            check_regex(f"{field}.{part}", value)
        yield NamedMatch(test["name"].lower() if part == "header" else test["name"], kind, value)
