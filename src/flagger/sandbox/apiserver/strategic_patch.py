"""Strategic merge patch: a merge patch whose lists may merge by a key, with `$…` directives.

The directives and the order of merged lists follow the Kubernetes document "Strategic Merge Patch" and what
kubectl relies on. Which list merges by which key is asked of the resource type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flagger.sandbox.apiserver.status_errors import bad_request, internal

Object = dict[str, Any]
Path = tuple[str, ...]
MergeKeyOf = Callable[[Path], str | None]
"""Path of field names (no indexes) → merge key of that list; "" merges scalars, None replaces the list."""

ORDER = "$setElementOrder/"
DELETE_SCALARS = "$deleteFromPrimitiveList/"
RETAIN = "$retainKeys"
DIRECTIVE = "$patch"


def strategic_merge(target: Object, patch: Any, merge_key_of: MergeKeyOf) -> Object:
    """Return `target` after the patch; neither is changed.

    Raises:
        ApiError: an unknown directive, or a list element without its merge key.
    """
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _Merger(merge_key_of).maps(target, patch, ())


class _Merger:
    def __init__(self, merge_key_of: MergeKeyOf) -> None:
        self.merge_key_of = merge_key_of

    def maps(self, target: Object, patch: Object, path: Path) -> Object:
        directive = patch.get(DIRECTIVE)
        if directive in ("replace", "delete"):
            return {} if directive == "delete" else _without_directives(patch)
        if directive is not None and directive != "merge":
            raise internal(f"unknown patch type found in patch: {directive!s}")
        merged = _retained(target, patch)
        for key, value in patch.items():
            if not key.startswith("$"):
                self.member(merged, key, value, path)
        self.directives(merged, patch, path)
        return merged

    def member(self, merged: Object, key: str, value: Any, path: Path) -> None:
        """Merge one member of the patch into the map under construction."""
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = self.maps(before if isinstance(before, dict) else {}, value, (*path, key))
        elif isinstance(value, list):
            before = merged.get(key)
            merged[key] = self.lists(before if isinstance(before, list) else [], value, (*path, key))
        else:
            merged[key] = value

    def directives(self, merged: Object, patch: Object, path: Path) -> None:
        """Carry out the directives about members: scalars to delete, then the order of lists."""
        for key, value in patch.items():
            if key.startswith(DELETE_SCALARS):
                field = key.removeprefix(DELETE_SCALARS)
                merged[field] = [item for item in merged.get(field, ()) if item not in value]
        for key, value in patch.items():
            field = key.removeprefix(ORDER)
            if key.startswith(ORDER) and isinstance(merged.get(field), list):
                merged[field] = self.ordered(merged[field], value, (*path, field))

    def lists(self, target: Sequence[Any], patch: Sequence[Any], path: Path) -> list[Any]:
        key = self.merge_key_of(path)
        if key is None:
            return [_without_directives(item) for item in patch if not _is_directive(item)]
        if not key:
            return [*target, *(item for item in dict.fromkeys(map(_scalar, patch)) if item not in target)]
        if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
            return [_without_directives(item) for item in patch if not _is_directive(item)]
        return self.keyed(target, patch, key, path)

    def keyed(self, target: Sequence[Any], patch: Sequence[Any], key: str, path: Path) -> list[Any]:
        """Merge a list of maps by the value of `key`."""
        values = [_key_value(item, key) for item in patch]
        removed = [
            value for item, value in zip(patch, values, strict=True) if item.get(DIRECTIVE) == "delete"
        ]
        known = [item.get(key) for item in target]
        merged = [item for item in target if item.get(key) not in removed]
        for item, value in zip(patch, values, strict=True):
            if value not in removed:
                self.keyed_item(merged, item, (key, value), path)
        mentioned = [value for value in dict.fromkeys(values) if value not in removed]
        return _sorted(merged, mentioned, known, lambda item: item.get(key))

    def keyed_item(self, merged: list[Any], item: Object, where: tuple[str, Any], path: Path) -> None:
        """Merge one element into the one with the same key, or append it."""
        key, value = where
        for index, old in enumerate(merged):
            if old.get(key) == value:
                merged[index] = self.maps(old, item, path)
                return
        merged.append(self.maps({}, item, path))

    def ordered(self, merged: Sequence[Any], order: Sequence[Any], path: Path) -> list[Any]:
        """Bring a merged list into the order that `$setElementOrder` asks for."""
        key = self.merge_key_of(path)
        if not key:
            return _sorted(merged, [*map(_scalar, order)], list(merged), lambda item: item)
        mentioned = [_key_value(item, key) for item in order]
        return _sorted(merged, mentioned, [item.get(key) for item in merged], lambda item: item.get(key))


def _retained(target: Object, patch: Object) -> Object:
    retained = patch.get(RETAIN)
    return dict(target) if retained is None else {key: target[key] for key in target if key in retained}


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item


def _without_directives(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_directives(item) for item in value if not _is_directive(item)]
    if not isinstance(value, dict):
        return value
    plain = {key: item for key, item in value.items() if not key.startswith("$") and item is not None}
    return {key: _without_directives(item) for key, item in plain.items()}


def _key_value(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise internal(f"map: {_go_map(item)} does not contain declared merge key: {key}")
    if isinstance(item[key], dict | list):
        raise internal(f"map: {_go_map(item)} has a merge key that is no scalar: {key}")
    return item[key]


def _scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise internal("a list of scalars cannot be merged with objects or lists")
    return value


def _go_map(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return f"map[{' '.join(f'{key}:{value}' for key, value in sorted(item.items()))}]"


def _sorted(
    merged: Sequence[Any], mentioned: Sequence[Any], known: Sequence[Any], value_of: Callable[[Any], Any]
) -> list[Any]:
    """Interleave the elements that the patch mentions with the others.

    Mentioned elements keep the patch's order, others the order they had (`known`). A mentioned element goes
    first unless both were there before and it stood behind.
    """
    rank = {value: index for index, value in enumerate(known)}
    position = {value: index for index, value in enumerate(mentioned)}
    left = sorted(
        (item for item in merged if value_of(item) in position), key=lambda i: position[value_of(i)]
    )
    right = [item for item in merged if value_of(item) not in position]
    result: list[Any] = []
    while left and right:
        first, other = rank.get(value_of(left[0])), rank.get(value_of(right[0]))
        behind = first is not None and other is not None and first > other
        result.append(right.pop(0) if behind else left.pop(0))
    return [*result, *left, *right]
