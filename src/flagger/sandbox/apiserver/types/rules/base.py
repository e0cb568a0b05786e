"""What the rules of several kinds share: numbers, shares, immutable fields, selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause, invalid, not_supported, rendered, required

Object = dict[str, Any]
Check = Callable[[Object, Object | None], Iterator[Cause]]
"""Takes the object and, for an update, the one it replaces."""

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
PERCENT = "a valid percent string must be a numeric string followed by an ending '%'"
PERCENT_TEXT = f"{PERCENT} (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"


def not_negative(obj: Mapping[str, Any], field: str, *members: str) -> Iterator[Cause]:
    """Check that numbers are not below zero."""
    for name in members:
        value = obj.get(name)
        if value is not None and value < 0:
            yield invalid(f"{field}.{name}", value, NOT_NEGATIVE)


def positive(obj: Mapping[str, Any], field: str, *members: str) -> Iterator[Cause]:
    """Check that numbers are above zero."""
    for name in members:
        value = obj.get(name)
        if value is not None and value <= 0:
            yield invalid(f"{field}.{name}", value, "must be greater than 0")


def one_of(obj: Mapping[str, Any], field: str, name: str, supported: Sequence[str]) -> Iterator[Cause]:
    """Check that a text, if there is one, is one of those supported."""
    value = obj.get(name)
    if value and value not in supported:
        yield not_supported(f"{field}.{name}", value, supported)


def share(value: Any, field: str) -> Iterator[Cause]:
    """Check a number or percentage, such as a rolling update has."""
    if isinstance(value, str):
        if not re.fullmatch("[0-9]+%", value):
            yield invalid_go(field, go_int_or_string(value), PERCENT_TEXT)
    elif isinstance(value, int) and value < 0:
        yield invalid(field, value, NOT_NEGATIVE)


def not_above_all(value: Any, field: str) -> Iterator[Cause]:
    """Check that a percentage is at most 100."""
    if isinstance(value, str) and re.fullmatch("[0-9]+%", value) and int(value[:-1]) > 100:
        yield invalid(field, value, "must not be greater than 100%")


def is_zero(value: Any) -> bool:
    """Tell whether a number or percentage means none."""
    return value in {0, "0%"} and value is not False


def go_int_or_string(value: Any) -> str:
    """Return a number or percentage in Go syntax, as errors show it."""
    if isinstance(value, str):
        return f'intstr.IntOrString{{Type:1, IntVal:0, StrVal:"{value}"}}'
    return f'intstr.IntOrString{{Type:0, IntVal:{value}, StrVal:""}}'


def invalid_go(field: str, shown: str, detail: str) -> Cause:
    """A violation whose value is shown in Go syntax."""
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {detail}", field)


def go_selector(value: Mapping[str, Any] | None) -> str:
    """Return a LabelSelector in Go syntax, as errors show it."""
    value = value or {}
    shown = ", ".join(f'"{key}":"{item}"' for key, item in sorted((value.get("matchLabels") or {}).items()))
    matched = f"map[string]string{{{shown}}}" if value.get("matchLabels") else "map[string]string(nil)"
    expressions = value.get("matchExpressions")
    terms = ", ".join(map(_go_requirement, expressions)) if expressions else ""
    listed = (
        f"[]v1.LabelSelectorRequirement{{{terms}}}" if expressions else "[]v1.LabelSelectorRequirement(nil)"
    )
    return f"v1.LabelSelector{{MatchLabels:{matched}, MatchExpressions:{listed}}}"


def _go_requirement(term: Mapping[str, Any]) -> str:
    values = ", ".join(f'"{value}"' for value in term.get("values") or ())
    listed = f"[]string{{{values}}}" if values else "[]string(nil)"
    key, operator = term.get("key", ""), term.get("operator", "")
    return f'v1.LabelSelectorRequirement{{Key:"{key}", Operator:"{operator}", Values:{listed}}}'


def go_labels(value: Mapping[str, str] | None) -> str:
    """Return labels in Go syntax, as errors show them."""
    return rendered(dict(value)) if value else "map[string]string(nil)"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a LabelSelector matches labels."""
    matched = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return matched and all(_meets(term, labels) for term in selector.get("matchExpressions") or ())


def _meets(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = term.get("key", ""), term.get("operator"), term.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) is (operator == "Exists")


def selector(value: Mapping[str, Any], field: str) -> Iterator[Cause]:
    """Check the requirements of a LabelSelector."""
    for key, item in (value.get("matchLabels") or {}).items():
        yield from metadata.labels_cause(f"{field}.matchLabels", key, item)
    for index, term in enumerate(value.get("matchExpressions") or ()):
        yield from _requirement(term, f"{field}.matchExpressions[{index}]")


def _requirement(term: Mapping[str, Any], field: str) -> Iterator[Cause]:
    operator, values = term.get("operator"), term.get("values")
    if operator in {"In", "NotIn"}:
        if not values:
            yield required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield Cause("FieldValueForbidden", f"Forbidden: {detail}", f"{field}.values")
    else:
        yield invalid(f"{field}.operator", operator, "not a valid selector operator")
    yield from (
        invalid(f"{field}.key", term.get("key"), text) for text in names.qualified(term.get("key", ""))
    )


def unchanged(obj: Object, old: Object | None, field: str, *path: str) -> Iterator[Cause]:
    """Check that a member of the object is what it was."""
    if old is None:
        return
    value, before = _member(obj, path), _member(old, path)
    if value != before:
        yield invalid(field, value, IMMUTABLE)


def _member(obj: Any, path: Sequence[str]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return obj
