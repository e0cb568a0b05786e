"""Functions that rewrite labels, and the labels that `absent` makes up."""

import re
from collections.abc import Sequence

from flagger.sandbox.metrics.labels import METRIC_NAME, Labels, changed, labels_of, value_of
from flagger.sandbox.metrics.matchers import Match
from flagger.sandbox.metrics.promql.errors import ExecutionError
from flagger.sandbox.metrics.promql.moment import Moment
from flagger.sandbox.metrics.promql.plan import Node, Select, SelectRange
from flagger.sandbox.metrics.promql.values import Vector, distinct
from flagger.sandbox.metrics.regex import compile_anchored

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<bare>\w+))", re.ASCII)


def label_replace(args: Sequence[Node], moment: Moment) -> Vector:
    """`label_replace(v, target, replacement, source, regex)`."""
    target, replacement, source, regex = map(moment.text, args[1:])
    try:
        pattern = compile_anchored(regex)
    except (re.error, OverflowError) as error:
        raise ExecutionError(f"invalid regular expression in label_replace(): {regex}") from error
    _check(target, "invalid destination label name in label_replace()")
    result: Vector = []
    for labels, value in moment.vector(args[0]):
        match = pattern.fullmatch(value_of(labels, source))
        rewritten = changed(labels, target, _expand(replacement, match)) if match else labels
        result.append((rewritten, value))
    return distinct(result)


def _expand(template: str, match: re.Match[str]) -> str:
    """Go's template expansion: `$1`, `${name}`, `$$`; what refers to nothing becomes empty."""

    def group(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["braced"] or reference["bare"]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except (IndexError, OverflowError):
            return ""

    return _REFERENCE.sub(group, template)


def label_join(args: Sequence[Node], moment: Moment) -> Vector:
    """`label_join(v, target, separator, source…)`."""
    target, separator, *sources = map(moment.text, args[1:])
    for source in sources:
        _check(source, "invalid source label name in label_join()")
    _check(target, "invalid destination label name in label_join()")
    return distinct(
        [
            (changed(labels, target, separator.join(value_of(labels, name) for name in sources)), value)
            for labels, value in moment.vector(args[0])
        ]
    )


def _check(name: str, problem: str) -> None:
    if not _LABEL_NAME.fullmatch(name):
        raise ExecutionError(f"{problem}: {name}")


def labels_of_absent(node: Node) -> Labels:
    """What can be said about series that are not there: their `=` matchers, unless a label has several."""
    select = node.select if isinstance(node, SelectRange) else node
    if not isinstance(select, Select):
        return ()
    known: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in select.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.match is Match.EQUAL and matcher.name not in seen:
            known[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            known.pop(matcher.name, None)
    return labels_of(known)
