"""The base of every typed model, and the decoder that turns one plain object into one.

A model describes what we read. It is never written back: writes are patches of plain objects, so that fields
no model knows survive.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

import msgspec

from flagger.api.errors import FieldError

M = TypeVar("M", bound="Model")


# The type checker does not inherit class keywords, so it is told once more what they are.
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of a custom resource: frozen, keyword-only, `step_weight` in Python and `stepWeight` in YAML.

    The text under each field is also its description in the CRD. A field without a default is required there.
    The optional class variable `SCHEMA` adds keywords to the generated schema of the whole object. A subclass
    with a required field after an optional one says `kw_only=True` again: at run time it is not inherited.
    """


def decode(obj: object, model: type[M]) -> M:
    """Return the plain JSON value as a model.

    Unknown fields are ignored, null means absent, and 2.0 is an integer.

    Raises:
        FieldError: a field has the wrong type, is missing or holds an unknown value.
    """
    try:
        return msgspec.convert(obj, model)
    except msgspec.ValidationError:
        plain = _cleaned(obj)  # the rare case: only now pay for a copy
    try:
        return msgspec.convert(plain, model)
    except msgspec.ValidationError as error:
        raise explain(str(error), plain) from error


def _cleaned(obj: object) -> object:
    try:
        return _normal(obj)
    except RecursionError as error:
        raise FieldError("", "the object is nested too deeply to be read", "simplify it") from error


def _normal(value: Any) -> Any:
    """Drop nulls from objects and make whole floats integers, as an API server does when it stores JSON."""
    match value:
        case Mapping():
            return {key: _normal(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_normal(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>[0-9]+)\]|\[\.\.\.\]")
_NOUNS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "int | str": "an integer or a string",
    "datetime": "a time",
}


def explain(message: str, obj: object) -> FieldError:
    """Return the decoder's message about `obj` as a FieldError with the field, the value and a fix."""
    place = _PATH.search(message)
    path = place["path"] if place else ""
    field, text = path.removeprefix("."), message[: place.start()] if place else message
    if missing := _MISSING.fullmatch(text):
        return FieldError(f"{field}.{missing['name']}".lstrip("."), "is missing", "add it")
    if wrong := _WRONG_TYPE.fullmatch(text):
        expected = wrong["expected"].removesuffix(" | null")
        noun = _NOUNS.get(expected, expected)
        shown = _shown(_value_at(path, obj, expected))
        return FieldError(field, f"{shown} is not {noun}", f"write {noun}")
    return FieldError(field, text[:1].lower() + text[1:], "use one of the documented values")


def _value_at(path: str, obj: Any, expected: str) -> Any:
    """Follow the decoder's path; where it says "some value of this map", take the first that does not fit."""
    for step in _STEP.finditer(path):
        if step["key"] is not None:
            obj = obj[step["key"]]
        elif step["index"] is not None:
            obj = obj[int(step["index"])]
        else:
            kind = {"str": str, "int": int, "array": list, "object": dict}.get(expected, ())
            obj = next((item for item in obj.values() if not isinstance(item, kind)), obj)
    return obj


def _shown(value: Any) -> str:
    """Name the value in a few words; never print a whole object."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case _:
            return repr(value) if len(repr(value)) <= 60 else f"a {type(value).__name__}"
