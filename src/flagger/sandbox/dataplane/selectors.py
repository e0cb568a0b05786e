"""Label selectors in objects (`matchLabels`, `matchExpressions`)."""

from collections.abc import Callable, Mapping, Sequence

from flagger.kube.objects import Object

OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Does a selector choose these labels? An empty one chooses all."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        OPERATORS[term["operator"]](labels.get(term["key"]), term.get("values") or [])
        for term in selector.get("matchExpressions") or []
    )
