"""Label selectors of meta/v1: does a set of labels match?; pure."""

from collections.abc import Callable, Mapping, Sequence

from flagger.kube.objects import Object

OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Does a LabelSelector select these labels? An empty one selects nothing here, as for all workloads."""
    equal = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    if not equal and not expressions:
        return False
    return has_all(equal, labels) and all(
        OPERATORS[entry["operator"]](labels.get(entry["key"]), entry.get("values") or ())
        for entry in expressions
    )


def has_all(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Are all these labels there, with these values?"""
    return all(labels.get(key) == value for key, value in wanted.items())
