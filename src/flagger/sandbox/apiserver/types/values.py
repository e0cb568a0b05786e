"""JSON values of built-in fields: is the type right, and how is the value stored?

Every converter takes a parsed JSON value and returns the stored form. `Mismatch` travels up to the object,
collecting where it happened; `DecodeError` is what callers see.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flagger.sandbox.apiserver.types import quantities

Convert = Callable[[Any], Any]
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)")


class DecodeError(ValueError):
    """A body that does not fit its type; the text is that of a 400 answer."""


class Mismatch(Exception):  # noqa: N818  # never leaves the decoder
    """A value that does not fit; `path` grows on the way up, innermost first."""

    def __init__(self, problem: str, wanted: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.wanted = wanted
        self.path: list[str] = []
        self.owner = ""

    def within(self, name: str, owner: str) -> None:
        """Note the field and, the first time, the type it belongs to."""
        self.path.append(name)
        self.owner = self.owner or owner

    def __str__(self) -> str:
        if not self.wanted:
            return self.problem
        place = ".".join([self.owner.rsplit(".", 1)[-1], *reversed(self.path)])
        return f"json: cannot unmarshal {self.problem} into Go struct field {place} of type {self.wanted}"


def mismatch(value: Any, wanted: str) -> Mismatch:
    """Return the exception for a value of the wrong JSON type."""
    return Mismatch(_JSON_NAMES.get(type(value), "null"), wanted)


def text(value: Any) -> str:
    """Take a string."""
    if type(value) is not str:
        raise mismatch(value, "string")
    return value


def integer(value: Any) -> int:
    """Take a whole number."""
    if type(value) is not int:
        raise mismatch(value, "int32")
    return value


def boolean(value: Any) -> bool:
    """Take true or false."""
    if type(value) is not bool:
        raise mismatch(value, "bool")
    return value


def number(value: Any) -> float:
    """Take a number; whole ones stay whole."""
    if type(value) is not int and type(value) is not float:
        raise mismatch(value, "float64")
    return value


def octets(value: Any) -> str:
    """Take base64 text, as standard encoding without line breaks."""
    if type(value) is not str:
        raise mismatch(value, "[]uint8")
    plain = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(plain, validate=True)
    except binascii.Error:
        valid = re.match(r"[A-Za-z0-9+/]*", plain)
        raise Mismatch(f"illegal base64 data at input byte {valid.end() if valid else 0}") from None
    return plain


def time(value: Any) -> str:
    """Take a time, stored in UTC with whole seconds."""
    if type(value) is not str:
        raise mismatch(value, "string")
    moment = _parsed(value, _SECONDS, "2006-01-02T15:04:05Z07:00")
    return value if len(value) == 20 else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(value: Any) -> str:
    """Take a time with exactly six decimals, stored in UTC."""
    if type(value) is not str:
        raise mismatch(value, "string")
    moment = _parsed(value, _MICROS, "2006-01-02T15:04:05.000000Z07:00")
    return value if len(value) == 27 else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parsed(value: str, pattern: re.Pattern[str], layout: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if pattern.fullmatch(value) else None
        if moment is not None:
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Mismatch(f'parsing time "{value}": {error}') from None
    raise Mismatch(f'parsing time "{value}" as "{layout}": cannot parse "{value}"')


def quantity(value: Any) -> str:
    """Take a quantity as text or number, stored in its canonical spelling."""
    if type(value) is not str and type(value) is not int and type(value) is not float:
        raise mismatch(value, "resource.Quantity")
    try:
        return quantities.canonical(str(value))
    except ValueError as problem:
        raise Mismatch(str(problem)) from None


def int_or_string(value: Any) -> int | str:
    """Take a whole number or a string."""
    if type(value) is not int and type(value) is not str:
        raise mismatch(value, "intstr.IntOrString")
    return value


def strings(value: Any) -> list[str]:
    """Take a list of strings."""
    if type(value) is not list:
        raise mismatch(value, "[]string")
    return [text(item) for item in value]


def anything(value: Any) -> Any:
    """Take any JSON value as it is."""
    return value


CONVERTERS: dict[str, Convert] = {
    "string": text,
    "int": integer,
    "bool": boolean,
    "double": number,
    "bytes": octets,
    "Time": time,
    "MicroTime": micro_time,
    "Quantity": quantity,
    "IntOrString": int_or_string,
    "RawExtension": anything,
    "FieldsV1": anything,
    "Strings": strings,
}

ZEROS: dict[str, Any] = {
    "string": "",
    "int": 0,
    "bool": False,
    "double": 0,
    "bytes": "",
    "Time": None,
    "MicroTime": None,
    "Quantity": "0",
    "IntOrString": 0,
    "RawExtension": None,
    "FieldsV1": None,
    "Strings": None,
}
