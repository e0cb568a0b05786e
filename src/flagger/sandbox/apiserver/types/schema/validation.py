"""Validation of values by a schema: one small check per keyword, compiled into one closure per schema.

The texts are those of a Kubernetes API server; a value of the wrong type is named by its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.causes import Cause, invalid, not_supported, required
from flagger.sandbox.apiserver.types.schema.formats import FORMATS

Schema = Mapping[str, Any]
Check = Callable[[Any, str, list[Cause]], None]
"""Takes a value, its path (`spec.ports[0]`) and the list that collects violations."""

TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
NO_FIELD = "<nil>"
"""Field of a violation of oneOf and its kin."""


def type_name(value: Any) -> str:
    """Return the JSON Schema name of a value's type."""
    return TYPE_NAMES.get(type(value), "null")


def validation(schema: Schema) -> Check:
    """Compile a schema into a function that collects violations."""
    allowed = _allowed_types(schema)
    nullable = bool(schema.get("nullable"))
    checks = [build(schema) for keyword, build in KEYWORDS.items() if keyword in schema]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if value is None and nullable:
            return
        if allowed and not _fits(value, allowed):
            name = type_name(value)
            text = f'{path} in body must be of type {",".join(allowed)}: "{name}"'
            found.append(invalid(path or NO_FIELD, name, text))
            return
        for one in checks:
            one(value, path, found)

    return check


def _allowed_types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    kind = schema.get("type")
    return (kind,) if kind else ()


def _fits(value: Any, allowed: Sequence[str]) -> bool:
    name = type_name(value)
    if name in allowed or (name == "integer" and "number" in allowed):
        return True
    return name == "number" and "integer" in allowed and float(value).is_integer()


def _properties(schema: Schema) -> Check:
    members = {name: validation(member) for name, member in schema["properties"].items()}

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is dict:
            for name, item in value.items():
                member = members.get(name)
                if member is not None:
                    member(item, f"{path}.{name}" if path else name, found)

    return check


def _additional(schema: Schema) -> Check:
    additional = schema["additionalProperties"]
    if not isinstance(additional, Mapping):
        return _nothing
    known, member = schema.get("properties", {}), validation(additional)

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is dict:
            for name, item in value.items():
                if name not in known:
                    member(item, f"{path}.{name}" if path else name, found)

    return check


def _nothing(_value: Any, _path: str, _found: list[Cause]) -> None:
    """The keyword asks for nothing."""


def _items(schema: Schema) -> Check:
    if not isinstance(schema["items"], Mapping):
        return _nothing
    item_check = validation(schema["items"])

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is list:
            for index, item in enumerate(value):
                item_check(item, f"{path}[{index}]", found)

    return check


def _required(schema: Schema) -> Check:
    names = tuple(schema["required"])

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is dict:
            found.extend(required(f"{path}.{name}" if path else name) for name in names if name not in value)

    return check


def _enum(schema: Schema) -> Check:
    values = list(schema["enum"])
    shown = [value if isinstance(value, str) else json.dumps(value) for value in values]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not any(value == item and type(value) is type(item) for item in values):
            found.append(not_supported(path, value, shown))

    return check


def _lengths(schema: Schema) -> Check:
    """Check a string: its first violation only, as servers do."""
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    matches = _matcher(pattern)

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is not str:
            return
        if longest is not None and len(value) > longest:
            found.append(invalid(path, value, f"{path} in body should be at most {longest} chars long"))
        elif shortest is not None and len(value) < shortest:
            found.append(invalid(path, value, f"{path} in body should be at least {shortest} chars long"))
        elif matches is not None and not matches(value):
            found.append(invalid(path, value, f"{path} in body should match '{pattern}'"))

    return check


def _matcher(pattern: str | None) -> Callable[[str], object] | None:
    """Return the search for a pattern; one that Python cannot read is not checked."""
    try:
        return re.compile(pattern).search if pattern else None
    except re.error:
        return None


def _limits(schema: Schema) -> Check:
    """Check a number against its bounds."""
    most, least, step = schema.get("maximum"), schema.get("minimum"), schema.get("multipleOf")
    below, above = schema.get("exclusiveMaximum"), schema.get("exclusiveMinimum")

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) is not int and type(value) is not float:
            return
        if most is not None and (value >= most if below else value > most):
            text = f"should be less than {most}" if below else f"should be less than or equal to {most}"
            found.append(invalid(path, value, f"{path} in body {text}"))
        if least is not None and (value <= least if above else value < least):
            text = (
                f"should be greater than {least}" if above else f"should be greater than or equal to {least}"
            )
            found.append(invalid(path, value, f"{path} in body {text}"))
        if step and value % step:
            found.append(invalid(path, value, f"{path} in body should be a multiple of {step}"))

    return check


def _sizes(
    container: type[list[Any]] | type[dict[str, Any]], least: int | None, most: int | None, noun: str
) -> Check:
    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not isinstance(value, container):
            return
        if least is not None and len(value) < least:
            found.append(invalid(path, len(value), f"{path} in body should have at least {least} {noun}"))
        if most is not None and len(value) > most:
            found.append(invalid(path, len(value), f"{path} in body should have at most {most} {noun}"))

    return check


def _item_count(schema: Schema) -> Check:
    return _sizes(list, schema.get("minItems"), schema.get("maxItems"), "items")


def _member_count(schema: Schema) -> Check:
    return _sizes(dict, schema.get("minProperties"), schema.get("maxProperties"), "properties")


def _unique(schema: Schema) -> Check:
    """Check lists whose elements, or the keys of whose elements, must differ."""
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    kind = schema.get("x-kubernetes-list-type")
    defaults = {
        name: member["default"]
        for name, member in ((schema.get("items") or {}).get("properties") or {}).items()
        if "default" in member
    }
    if kind not in {"set", "map"}:
        return _nothing

    def check(value: Any, path: str, found: list[Cause]) -> None:
        seen: set[str] = set()
        for index, item in enumerate(value if type(value) is list else ()):
            shown = item
            if keys and type(item) is dict:
                shown = {name: item.get(name, defaults.get(name)) for name in keys}
            text = json.dumps(shown, sort_keys=True)
            if text in seen:
                found.append(
                    Cause("FieldValueDuplicate", f"Duplicate value: {_go(shown)}", f"{path}[{index}]")
                )
            seen.add(text)

    return check


def _go(value: Any) -> str:
    """Return a value in Go syntax, as errors about duplicates show it."""
    if isinstance(value, dict):
        return (
            "map[string]interface {}{"
            + ", ".join(f'"{key}":{_go(item)}' for key, item in value.items())
            + "}"
        )
    return json.dumps(value)


def _format(schema: Schema) -> Check:
    name = schema["format"]
    fits = FORMATS.get(name)

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if fits is not None and type(value) is str and not fits(value):
            found.append(invalid(path, value, f'{path} in body must be of type {name}: "{value}"'))

    return check


def _violations(checks: Sequence[Check], value: Any, path: str) -> list[list[Cause]]:
    results: list[list[Cause]] = []
    for check in checks:
        found: list[Cause] = []
        check(value, path, found)
        results.append(found)
    return results


def _fewest(results: Sequence[list[Cause]]) -> list[Cause]:
    """Return the violations of the alternative that comes closest."""
    counts = [len(result) for result in results]
    return results[counts.index(min(counts))]


def _one_of(schema: Schema) -> Check:
    checks = [validation(item) for item in schema["oneOf"]]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        results = _violations(checks, value, path)
        valid = sum(1 for result in results if not result)
        if valid == 1:
            return
        many = f"Found {valid} valid alternatives" if valid else "Found none valid"
        text = f'"{path}" must validate one and only one schema (oneOf). {many}'
        found.append(invalid(NO_FIELD, "", text))
        if not valid:
            found.extend(_fewest(results))

    return check


def _any_of(schema: Schema) -> Check:
    checks = [validation(item) for item in schema["anyOf"]]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        results = _violations(checks, value, path)
        if all(results):
            found.append(invalid(NO_FIELD, "", f'"{path}" must validate at least one schema (anyOf)'))
            found.extend(_fewest(results))

    return check


def _all_of(schema: Schema) -> Check:
    checks = [validation(item) for item in schema["allOf"]]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        results = _violations(checks, value, path)
        broken = [result for result in results if result]
        if not broken:
            return
        none = ". None validated" if len(broken) == len(checks) else ""
        found.append(invalid(NO_FIELD, "", f'"{path}" must validate all the schemas (allOf){none}'))
        found.extend(cause for result in broken for cause in result)

    return check


def _not(schema: Schema) -> Check:
    inner = validation(schema["not"])

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not _violations([inner], value, path)[0]:
            found.append(invalid(NO_FIELD, "", f'"{path}" must not validate the schema (not)'))

    return check


def _first(keyword: str, build: Callable[[Schema], Check], *others: str) -> Callable[[Schema], Check]:
    """Build a check that serves several keywords once: for the first of them that the schema has."""

    def builder(schema: Schema) -> Check:
        return _nothing if any(other in schema for other in others) else build(schema)

    builder.__name__ = keyword
    return builder


KEYWORDS: Mapping[str, Callable[[Schema], Check]] = {
    "format": _format,
    "enum": _enum,
    "maxLength": _lengths,
    "minLength": _first("minLength", _lengths, "maxLength"),
    "pattern": _first("pattern", _lengths, "maxLength", "minLength"),
    "maximum": _limits,
    "minimum": _first("minimum", _limits, "maximum"),
    "multipleOf": _first("multipleOf", _limits, "maximum", "minimum"),
    "maxItems": _item_count,
    "minItems": _first("minItems", _item_count, "maxItems"),
    "maxProperties": _member_count,
    "minProperties": _first("minProperties", _member_count, "maxProperties"),
    "x-kubernetes-list-type": _unique,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "allOf": _all_of,
    "not": _not,
}
"""Keyword of a schema → builder of its check, in the order in which violations are told."""
