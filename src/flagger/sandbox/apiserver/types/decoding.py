"""Objects of built-in types: check value types, drop unknown fields, fill in defaults, in one pass.

Each message of the field table is compiled into one closure; the result is a new object that shares nothing
mutable with the input except free-form JSON. Zero values are dropped or kept the way a Go server does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from flagger.sandbox.apiserver.types.messages import Field, Message, message
from flagger.sandbox.apiserver.types.values import CONVERTERS, ZEROS, Convert, DecodeError, Mismatch, mismatch

Object = dict[str, Any]
Hook = Callable[[Object], None]
"""Completes a decoded message in place."""
Hooks = Mapping[str, Hook]

TYPE_META = {"kind": Field(0, "kind", "string"), "apiVersion": Field(0, "apiVersion", "string")}


def has_type_meta(entry: Message) -> bool:
    """Tell whether the message is an object of its own, with `kind` and `apiVersion`."""
    meta = entry.fields.get("metadata")
    return (
        meta is not None
        and meta.type == "meta.ObjectMeta"
        and "Template" not in entry.name.rsplit(".", 1)[-1]
    )


def fields_of(name: str) -> Mapping[str, Field]:
    """Return the members of a message in JSON, `kind` and `apiVersion` included where it has them."""
    entry = message(name)
    if has_type_meta(entry) or name in {"core.PodTemplate", "meta.DeleteOptions"}:
        return TYPE_META | dict(entry.fields)
    return entry.fields


class Decoder:
    """Decodes objects of built-in types with the given defaults."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._converters: dict[str, Convert] = {}

    def decode(self, name: str, obj: Any, kind: str, version: str) -> Object:
        """Return the stored form of an object of the message `name`.

        Raises:
            DecodeError: a value has the wrong type.
        """
        try:
            decoded: Object = self.converter(name)(obj)
        except Mismatch as problem:
            raise DecodeError(
                f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}'
            ) from None
        return decoded

    def converter(self, name: str) -> Convert:
        """Return the compiled converter of a message or special type; types may contain themselves."""
        if name in CONVERTERS:
            return CONVERTERS[name]
        found = self._converters.get(name)
        if found is None:
            found = self._converters[name] = self._lazy(name)
            found = self._converters[name] = self._compile(name)
        return found

    def _lazy(self, name: str) -> Convert:
        return lambda value: self._converters[name](value)  # noqa: PLW0108  # looked up late on purpose

    def _compile(self, name: str) -> Convert:
        if name in UNIONS:
            return UNIONS[name](self)
        fields = fields_of(name)
        entries = {
            field.name: (self._field(field), field.pointer or field.always) for field in fields.values()
        }
        always = [(field.name, self._zero(field)) for field in fields.values() if field.always]
        hook = self._hooks.get(name)
        get, owner = entries.get, name

        def convert(value: Any) -> Object:
            if type(value) is not dict:
                raise mismatch(value, owner)
            result: Object = {}
            key = ""
            try:
                for key, item in value.items():
                    entry = get(key)
                    if entry is None or item is None:
                        continue
                    item = entry[0](item)  # noqa: PLW2901
                    if item or entry[1]:
                        result[key] = item
            except Mismatch as problem:
                problem.within(key, owner)
                raise
            for key, zero in always:
                if key not in result:
                    result[key] = zero()
            if hook is not None:
                hook(result)
            return result

        return convert

    def _field(self, field: Field) -> Convert:
        convert = self.converter(field.type)
        if not field.container:
            return convert
        zero = self._element_zero(field)
        items = _list_of(convert, zero) if field.container == "[]" else _map_of(convert, zero)
        # An empty list that cannot be left out is null: servers do not tell it from an absent one.
        return (lambda value: items(value) or None) if field.always else items

    def _element_zero(self, field: Field) -> Callable[[], Any]:
        if field.type in ZEROS:
            return lambda: ZEROS[field.type]
        return lambda: self.converter(field.type)({})

    def _zero(self, field: Field) -> Callable[[], Any]:
        if field.container:
            return lambda: None  # an empty list that cannot be left out is null
        return self._element_zero(field)


def _list_of(convert: Convert, zero: Callable[[], Any]) -> Convert:
    def items(value: Any) -> list[Any]:
        if type(value) is not list:
            raise mismatch(value, "[]")
        return [zero() if item is None else convert(item) for item in value]

    return items


def _map_of(convert: Convert, zero: Callable[[], Any]) -> Convert:
    def members(value: Any) -> Object:
        if type(value) is not dict:
            raise mismatch(value, "map[string]")
        return {key: zero() if item is None else convert(item) for key, item in value.items()}

    return members


SCHEMA = "apiextensions.JSONSchemaProps"


def _schema_or(wanted: type, convert_other: Callable[[Convert], Convert]) -> Callable[[Decoder], Convert]:
    def build(decoder: Decoder) -> Convert:
        def convert(value: Any) -> Any:
            schema = decoder.converter(SCHEMA)
            return convert_other(schema)(value) if isinstance(value, wanted) else schema(value)

        return convert

    return build


UNIONS: Mapping[str, Callable[[Decoder], Convert]] = {
    "SchemaOrBool": _schema_or(bool, lambda _: CONVERTERS["bool"]),
    "SchemaOrList": _schema_or(list, lambda schema: _list_of(schema, dict)),
    "SchemaOrNames": _schema_or(list, lambda _: _list_of(CONVERTERS["string"], str)),
}


@cache
def _unknown_in(name: str) -> Callable[[Any, str, list[str]], None]:
    """Compile the walk that names members which a message does not have."""
    fields = fields_of(name)
    nested = {field.name: field for field in fields.values() if field.is_message}

    def walk(value: Any, path: str, found: list[str]) -> None:
        if type(value) is not dict:
            return
        for key, item in value.items():
            if key not in fields:
                found.append(path + key)
            elif key in nested:
                _unknown_below(nested[key], item, path + key, found)

    return walk


def _unknown_below(field: Field, value: Any, path: str, found: list[str]) -> None:
    walk = _unknown_in(field.type)
    if field.container == "[]" and type(value) is list:
        for index, item in enumerate(value):
            walk(item, f"{path}[{index}].", found)
    elif field.container == "{}" and type(value) is dict:
        for key, item in value.items():
            walk(item, f"{path}.{key}.", found)
    else:
        walk(value, path + ".", found)


def unknown_fields(name: str, obj: Object) -> list[str]:
    """Return the paths of members that the message does not have, such as `spec.replicass`."""
    found: list[str] = []
    _unknown_in(name)(obj, "", found)
    return found
