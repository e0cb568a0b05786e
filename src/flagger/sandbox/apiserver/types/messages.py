"""The fields of the built-in types: one table, read from `data/fields.json`.

A row of the table is `[protobuf number, JSON name, type, flags]`. Types are `string int bool double bytes`,
the special forms below, or the name of another message; `[]` in front means a list, `{}` a map with string
keys. A row without a name flattens the message it names into its parent. Flags: `p` an absent value differs
from zero, `z` a zero value is written out, `r` the field is required. Facts from the public type definitions
of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import msgspec

SCALARS = frozenset({"string", "int", "bool", "double", "bytes"})
SPECIAL = frozenset(
    {
        *("Time", "MicroTime", "Quantity", "IntOrString", "RawExtension", "FieldsV1"),
        "Strings",  # a list of strings as the value of a map
        *("SchemaOrList", "SchemaOrBool", "SchemaOrNames"),  # JSON Schema members with two forms
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a message; `container` is "", "[]" or "{}"."""

    number: int
    name: str
    type: str
    container: str = ""
    pointer: bool = False
    keeps_zero: bool = False
    required: bool = False

    @property
    def is_message(self) -> bool:
        """Tell whether the values (or elements) are messages of the table."""
        return self.type not in SCALARS and self.type not in SPECIAL

    @property
    def always(self) -> bool:
        """Tell whether the field is written even when nothing was set: Go structs cannot be left out."""
        if self.pointer:
            return False
        return self.keeps_zero or (not self.container and self.type not in SCALARS)


@dataclass(frozen=True, slots=True)
class Message:
    """A built-in type: its `fields` by JSON name, and how protobuf numbers them."""

    name: str
    fields: Mapping[str, Field]
    numbers: Mapping[int, Field] = field(default_factory=dict)
    """Protobuf number → field, without the flattened messages."""
    flattened: Mapping[int, str] = field(default_factory=dict)
    """Protobuf number → message whose fields are members of this one in JSON."""


@cache
def _rows() -> Mapping[str, list[list[str | int]]]:
    text = files(__package__).joinpath("data/fields.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, list[list[str | int]]])


def _field(number: int, name: str, kind: str, flags: str = "") -> Field:
    container = kind[:2] if kind[:2] in {"[]", "{}"} else ""
    return Field(number, name, kind[len(container) :], container, "p" in flags, "z" in flags, "r" in flags)


@cache
def message(name: str) -> Message:
    """Return a message of the table.

    Raises:
        KeyError: there is none of that name.
    """
    fields: dict[str, Field] = {}
    numbers: dict[int, Field] = {}
    flattened: dict[int, str] = {}
    for row in _rows()[name]:
        entry = _field(*row)  # type: ignore[arg-type]  # rows are (int, str, str, str)
        if entry.name:
            fields[entry.name] = numbers[entry.number] = entry
        else:
            flattened[entry.number] = entry.type
            fields |= message(entry.type).fields
    return Message(name, fields, numbers, flattened)
