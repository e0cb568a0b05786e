"""The rules of `x-kubernetes-validations`, compiled with the schema they stand in.

Rules that compare with `oldSelf` run on updates only, and only where the old value can be told: members of
objects and elements of keyed lists. A rule outside the supported part of the language is accepted and not
enforced; `Rules.ignored` names those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.schema.cel import EvaluationError, Expression, Unsupported, compile_rule
from flagger.sandbox.apiserver.types.schema.validation import type_name

Schema = Mapping[str, Any]
Walk = Callable[[Any, Any, str, list[Cause]], None]
"""Takes a value, the old one (`ABSENT` without), the path, and the list that collects violations."""
ABSENT: Any = object()
_OLD = re.compile(r"\boldSelf\b")


@dataclass(frozen=True, slots=True)
class Rules:
    """The compiled rules of a schema, and the texts of those that are not enforced."""

    check: Walk
    ignored: tuple[str, ...]


def rules_of(schema: Schema) -> Rules:
    """Compile all rules of a schema."""
    ignored: list[str] = []
    return Rules(_walk(schema, ignored) or _nothing, tuple(ignored))


def _nothing(_value: Any, _old: Any, _path: str, _found: list[Cause]) -> None:
    """The schema has no rules."""


def _walk(schema: Schema, ignored: list[str]) -> Walk | None:
    """Compile a schema; None if there is no rule in it or below."""
    own = [
        rule for rule in map(_rule, schema.get("x-kubernetes-validations") or ()) if rule.enforced(ignored)
    ]
    members = {name: _walk(member, ignored) for name, member in (schema.get("properties") or {}).items()}
    below = {name: walk for name, walk in members.items() if walk is not None}
    items, additional = schema.get("items"), schema.get("additionalProperties")
    each = _walk(items, ignored) if isinstance(items, Mapping) else None
    other = _walk(additional, ignored) if isinstance(additional, Mapping) else None
    if not (own or below or each or other):
        return None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def walk(value: Any, old: Any, path: str, found: list[Cause]) -> None:
        for rule in own:
            found.extend(rule.violations(value, old, path))
        if isinstance(value, dict):
            for name, item in value.items():
                member = below.get(name) or (other if name not in members else None)
                if member is not None:
                    member(item, _old_member(old, name), f"{path}.{name}" if path else name, found)
        elif isinstance(value, list) and each is not None:
            for index, item in enumerate(value):
                each(item, _old_element(old, item, keys), f"{path}[{index}]", found)

    return walk


def _old_member(old: Any, name: str) -> Any:
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT


def _old_element(old: Any, item: Any, keys: tuple[str, ...]) -> Any:
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return ABSENT
    wanted = [item.get(key) for key in keys]
    same = (other for other in old if isinstance(other, dict) and [other.get(key) for key in keys] == wanted)
    return next(same, ABSENT)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule; `test` is None when it cannot be compiled."""

    text: str
    test: Expression | None
    message: str
    explain: Expression | None
    reason: str
    place: str

    def enforced(self, ignored: list[str]) -> bool:
        """Tell whether the rule can be checked; note it if not."""
        if self.test is None:
            ignored.append(self.text)
        return self.test is not None

    def violations(self, value: Any, old: Any, path: str) -> Iterator[Cause]:
        """Yield the violation, if there is one."""
        needs_old = _OLD.search(self.text) is not None
        if self.test is None or (needs_old and old is ABSENT):
            return
        scope = {"self": value} | ({"oldSelf": old} if needs_old else {})
        try:
            if self.test(scope) is True:
                return
            message = self._message(scope)
        except EvaluationError as error:
            message = f"rule evaluation error: {error}"
        field = f"{path}{self.place}".lstrip(".") or "<nil>"
        yield Cause(self.reason, f'Invalid value: "{type_name(value)}": {message}', field)

    def _message(self, scope: Mapping[str, Any]) -> str:
        if self.explain is not None:
            explained = self.explain(scope)
            if isinstance(explained, str):
                return explained
        return self.message or f"failed rule: {self.text}"


def _rule(declared: Mapping[str, Any]) -> _Rule:
    text = declared["rule"]
    return _Rule(
        text,
        _compiled(text),
        declared.get("message", "").strip(),
        _compiled(declared["messageExpression"]) if declared.get("messageExpression") else None,
        declared.get("reason") or "FieldValueInvalid",
        declared.get("fieldPath", ""),
    )


def _compiled(text: str) -> Expression | None:
    try:
        return compile_rule(text)
    except Unsupported:
        return None
