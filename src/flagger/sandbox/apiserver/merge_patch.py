"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on plain objects; neither changes its input."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.status_errors import bad_request, rejected

Object = dict[str, Any]
MISSING = object()


def merge(target: Any, patch: Any) -> Any:
    """Return `target` after an RFC 7386 merge: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _index(token: str, length: int) -> int:
    if not token.isdecimal() or (token != "0" and token.startswith("0")) or int(token) > length:
        raise rejected()
    return int(token)


class _Place:
    """The member of a container that a JSON pointer ends at."""

    def __init__(self, document: Any, pointer: str) -> None:
        *parents, self.token = _tokens(pointer)
        self.parent = document
        for token in parents:
            self.parent = _step(self.parent, token)
        if not isinstance(self.parent, dict | list):
            raise rejected()

    def read(self) -> Any:
        return _step(self.parent, self.token)

    def add(self, value: Any) -> None:
        if isinstance(self.parent, dict):
            self.parent[self.token] = value
        elif self.token == "-":
            self.parent.append(value)
        else:
            self.parent.insert(_index(self.token, len(self.parent)), value)

    def remove(self) -> None:
        self.read()
        if isinstance(self.parent, dict):
            del self.parent[self.token]
        else:
            del self.parent[int(self.token)]

    def replace(self, value: Any) -> None:
        self.read()
        if isinstance(self.parent, dict):
            self.parent[self.token] = value
        else:
            self.parent[int(self.token)] = value


def _tokens(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise rejected()
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _step(container: Any, token: str) -> Any:
    if isinstance(container, dict):
        value = container.get(token, MISSING)
    elif isinstance(container, list):
        index = _index(token, len(container))
        value = container[index] if index < len(container) else MISSING
    else:
        value = MISSING
    if value is MISSING:
        raise rejected()
    return value


def _test(document: Any, operation: Mapping[str, Any]) -> None:
    if not _same(_Place(document, operation["path"]).read(), operation.get("value")):
        raise rejected()


def _same(left: Any, right: Any) -> bool:
    # Python takes True for 1; JSON does not.
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _move(document: Any, operation: Mapping[str, Any]) -> None:
    source = _Place(document, operation["from"])
    value = source.read()
    source.remove()
    _Place(document, operation["path"]).add(value)


def _copy(document: Any, operation: Mapping[str, Any]) -> None:
    value = copy.deepcopy(_Place(document, operation["from"]).read())
    _Place(document, operation["path"]).add(value)


OPERATIONS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "add": lambda document, op: _Place(document, op["path"]).add(op.get("value")),
    "remove": lambda document, op: _Place(document, op["path"]).remove(),
    "replace": lambda document, op: _Place(document, op["path"]).replace(op.get("value")),
    "test": _test,
    "move": _move,
    "copy": _copy,
}


def apply_json_patch(target: Object, patch: Any) -> Object:
    """Return `target` after all operations of an RFC 6902 patch; none is applied if one fails.

    Raises:
        ApiError: 400 for a body that is not a list, 422 for an operation that does not apply.
    """
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document = copy.deepcopy(target)
    for operation in patch:
        _perform(document, operation)
    return document


def _perform(document: Object, operation: Any) -> None:
    perform = OPERATIONS.get(str(operation.get("op"))) if isinstance(operation, dict) else None
    if perform is None or not _well_formed(operation):
        raise rejected()
    perform(document, copy.deepcopy(operation))


def _well_formed(operation: Mapping[str, Any]) -> bool:
    needed: Sequence[str] = ("path", "from") if operation["op"] in {"move", "copy"} else ("path",)
    return all(isinstance(operation.get(name), str) for name in needed)
