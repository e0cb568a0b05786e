"""Turns models into structural OpenAPI v3 schemas, the only kind a CustomResourceDefinition may hold.

Structural means: every node has a type, nothing is referenced, an object has either named properties or
additional ones, and alternatives (`oneOf`) only say what must be present.
"""

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import NODEFAULT, Meta
from msgspec.structs import FieldInfo, fields

from flagger.api.model import Model
from flagger.api.schema import JsonSchema

_SCALARS: Mapping[Any, JsonSchema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


def object_schema(model: type[Model]) -> JsonSchema:
    """Return the schema of a model with the schemas of all its fields.

    Raises:
        TypeError: a field has a type that no structural schema can describe.
    """
    texts = _field_texts(model)
    required = [info.encode_name for info in fields(model) if _is_required(info)]
    return {
        "description": _first_paragraph(model.__doc__ or ""),
        "type": "object",
        **({"required": required} if required else {}),
        **getattr(model, "SCHEMA", {}),
        "properties": {info.encode_name: _field_schema(info, texts) for info in fields(model)},
    }


def _is_required(info: FieldInfo) -> bool:
    return info.default is NODEFAULT and info.default_factory is NODEFAULT


def _field_schema(info: FieldInfo, texts: Mapping[str, str]) -> JsonSchema:
    """Return the schema of one field; the text under the field wins over the docstring of its class."""
    schema = _type_schema(info.type)
    return {"description": texts.get(info.name, schema.get("description", "")), **_without_text(schema)}


def _type_schema(annotation: Any) -> JsonSchema:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_schema(arguments[0]) | _keywords(arguments[1:])
    if origin in {Union, types.UnionType}:
        return _union_schema(arguments)
    if origin is tuple:
        return {"type": "array", "items": _without_text(_type_schema(arguments[0]))}
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _without_text(_type_schema(arguments[1]))}
    return _class_schema(annotation)


def _class_schema(cls: type) -> JsonSchema:
    if cls in _SCALARS:
        return _SCALARS[cls]
    if issubclass(cls, StrEnum):
        return {"type": "string", "enum": [member.value for member in cls]}
    if issubclass(cls, Model):
        return object_schema(cls)
    raise TypeError(f"no structural schema for {cls!r}")


def _union_schema(members: tuple[Any, ...]) -> JsonSchema:
    """Return the schema of a field that may be absent (None is not null here), or of an int-or-string."""
    present = [member for member in members if member is not types.NoneType]
    if set(present) == {int, str}:
        return {"x-kubernetes-int-or-string": True}
    if len(present) != 1:
        raise TypeError(f"no structural schema for a choice of {present}")
    return _type_schema(present[0])


def _keywords(annotations: tuple[Any, ...]) -> JsonSchema:
    merged: JsonSchema = {}
    for annotation in annotations:
        if isinstance(annotation, Meta):
            merged |= annotation.extra_json_schema or {}
    return merged


def _without_text(schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key != "description"}


def _field_texts(model: type[Model]) -> dict[str, str]:
    """Return the texts written under the fields of a class and of its bases."""
    texts: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Model) and cls is not Model:
            texts |= _texts_in(ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0])
    return texts


def _texts_in(definition: ast.stmt) -> dict[str, str]:
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        above.target.id: _first_paragraph(str(below.value.value))
        for above, below in pairwise(body)
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def _first_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
