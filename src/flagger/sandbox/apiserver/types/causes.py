"""Violations found in an object, worded as Kubernetes words them.

A `Cause` becomes one entry of `details.causes` of a 422 answer; the builders hold the texts that clients
and tests match on. `bad` is the offending value, rendered the way a Go server renders it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One violation: which rule, what is wrong, and where (`spec.ports[0].name`)."""

    reason: str
    message: str
    field: str

    def as_dict(self) -> dict[str, str]:
        """Return the form of the wire, members in the order real servers use."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def quote(text: str) -> str:
    """Return `text` in Go's double quotes, non-ASCII letters left as they are."""
    return json.dumps(text, ensure_ascii=False)


def rendered(value: Any) -> str:
    """Return a value as Go's error texts show it: strings quoted, string maps and lists in Go syntax."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return (
            "map[string]string{" + ", ".join(f"{quote(k)}:{quote(v)}" for k, v in sorted(value.items())) + "}"
        )
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "[]string{" + ", ".join(map(quote, value)) + "}"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def required(field: str, detail: str = "") -> Cause:
    """A value is missing."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def invalid(field: str, bad: Any, detail: str) -> Cause:
    """A value breaks a rule, which `detail` states."""
    return Cause("FieldValueInvalid", f"Invalid value: {rendered(bad)}: {detail}", field)


def invalid_type(field: str, bad: Any, detail: str) -> Cause:
    """A value of the wrong JSON type, as servers since 1.25 report it."""
    return Cause("FieldValueTypeInvalid", f"Invalid value: {rendered(bad)}: {detail}", field)


def not_supported(field: str, bad: Any, supported: Sequence[str]) -> Cause:
    """A value is not one of the supported ones."""
    listed = ", ".join(map(quote, supported))
    return Cause(
        "FieldValueNotSupported", f"Unsupported value: {rendered(bad)}: supported values: {listed}", field
    )


def forbidden(field: str, detail: str) -> Cause:
    """A value may not be there, or may not change."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def duplicate(field: str, bad: Any) -> Cause:
    """A value that must be unique appears twice."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {rendered(bad)}", field)


def not_found(field: str, bad: Any) -> Cause:
    """A value refers to something that is not there."""
    return Cause("FieldValueNotFound", f"Not found: {rendered(bad)}", field)


def too_long(field: str, limit: int) -> Cause:
    """A text is longer than `limit` bytes."""
    return Cause("FieldValueTooLong", f"Too long: must have at most {limit} bytes", field)


def too_many(field: str, actual: int, limit: int) -> Cause:
    """A list has more than `limit` items."""
    return Cause("FieldValueTooMany", f"Too many: {actual}: must have at most {limit} items", field)
