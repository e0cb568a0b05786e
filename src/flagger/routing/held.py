"""One route of a user, with the weights that they wrote and those that it has for the moment. Pure.

What the user had written is kept in one annotation, which comes and goes in the same write as the weights: there
is no moment at which a crash could lose it. Several Canaries may keep theirs in it, as one route may be theirs all.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flagger.api.names import USERS_WEIGHTS
from flagger.api.references import Key
from flagger.kube.objects import Object, annotations_of, namespace_of
from flagger.rollout.state import TOTAL, Split
from flagger.routing.shares import divided, share_of

EACH = "*"
"""In a path: every element of this list."""

Weights = tuple[int | None, ...]
"""The weights of the primary's destinations and then of the canary's; None for one that is left out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a kind of route keeps its weighted destinations, each with its weight in the field `weight`.

    `lists` are the paths below `spec` that lead to lists of destinations. `service_of` says which Service a
    destination of a route in some namespace is, None for something else. `absent` is the weight of a
    destination that has none, and `even` says that all have the same share where none of a list has any.
    """

    group: str
    kind: str
    plural: str
    lists: Sequence[tuple[str, ...]]
    service_of: Callable[[Object, str], Key | None]
    absent: int
    even: bool = False


@dataclass(frozen=True, slots=True)
class Destinations:
    """One list of destinations that has both sides; `primary` and `canary` are their positions in it."""

    at: str
    entries: Sequence[Object]
    primary: tuple[int, ...]
    canary: tuple[int, ...]
    layout: Layout

    @property
    def ours(self) -> tuple[int, ...]:
        """The positions of both sides, in the order of `Weights`."""
        return (*self.primary, *self.canary)

    @property
    def live(self) -> Weights:
        """The weights as they are."""
        return tuple(self.entries[index].get("weight") for index in self.ours)

    @property
    def print(self) -> str:
        """By what the list is recognized when it moves: all that is in it but our weights."""
        rest = [
            {key: value for key, value in entry.items() if key != "weight" or index not in self.ours}
            for index, entry in enumerate(self.entries)
        ]
        return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:12]

    def split(self, weights: Weights) -> Split:
        """The split that some weights make."""
        return Split(share_of(*self._sides(weights)))

    def divided(self, users: Weights, split: Split) -> Weights:
        """The weights that make a split of what the user gave to both sides.

        Weights are relative, so where nobody else has any they add up to 100. What makes no difference is
        left as the user wrote it.
        """
        if split.canary == 0 and self.split(users).canary == 0:
            return users
        sides = self._sides(users)
        return divided(sum(map(sum, sides)) if self._others else TOTAL, split, *sides)

    def with_weights(self, weights: Weights) -> list[Object]:
        """The entries with other weights, None for one that is to go."""
        new = dict(zip(self.ours, weights, strict=True))
        return [
            {**entry, "weight": new[index]} if index in new else entry
            for index, entry in enumerate(self.entries)
        ]

    @property
    def _others(self) -> int:
        """The weights of all that are neither side."""
        others = (entry for index, entry in enumerate(self.entries) if index not in self.ours)
        return sum(self._number(entry.get("weight")) for entry in others)

    def _sides(self, weights: Weights) -> tuple[list[int], list[int]]:
        numbers = [self._number(weight) for weight in weights]
        if self.layout.even and not any(numbers) and not self._others:
            numbers = [1] * len(numbers)
        return numbers[: len(self.primary)], numbers[len(self.primary) :]

    def _number(self, weight: int | None) -> int:
        return self.layout.absent if weight is None else weight


class HeldRoute:
    """A route that a Canary's user wrote; `sides` are the primary and the canary Service.

    `owner` is the Canary as `namespace/name`.

    Raises:
        ValueError: the annotation doesn't hold what we keep in it.
    """

    def __init__(self, route: Object, layout: Layout, owner: str, sides: tuple[Key, Key]) -> None:
        self._route, self._layout, self._owner = route, layout, owner
        self.lists = list(destinations(route, layout, sides))
        self._records = _records(route)
        self.kept: Mapping[str, Any] | None = self._records.get(owner)
        self._users = list(_users_weights(self.lists, self.kept))

    @property
    def split(self) -> Split:
        """The split that the route makes; of several lists the one that gives the canary least counts."""
        return min((self._split(*each) for each in self._pairs()), key=lambda split: split.canary)

    def moved(self, split: Split) -> Object:
        """Annotations and spec with the weights of a split, and what was there before if that differs."""
        wanted = [each.divided(users, split) for each, users in self._pairs()]
        kept = [{"at": each.at, "print": each.print, "weights": users} for each, users in self._pairs()]
        return self._written(
            wanted, {"canary": split.canary, "lists": kept} if wanted != self._users else None
        )

    def restored(self) -> Object:
        """Annotations and spec as the user wrote them."""
        return self._written(self._users, None)

    def _pairs(self) -> Iterator[tuple[Destinations, Weights]]:
        return zip(self.lists, self._users, strict=True)

    def _split(self, each: Destinations, users: Weights) -> Split:
        """What we wrote counts, also where somebody applied the user's own weights again; else what is there."""
        if self.kept is not None:
            asked = Split(self.kept["canary"])
            if each.live in (each.divided(users, asked), users):
                return asked
        return each.split(each.live)

    def _written(self, weights: Sequence[Weights], record: Object | None) -> Object:
        records = {owner: kept for owner, kept in self._records.items() if owner != self._owner}
        if record is not None:
            records[self._owner] = record
        text = json.dumps(records, sort_keys=True, separators=(",", ":")) if records else None
        changed = {each.at: each.with_weights(new) for each, new in zip(self.lists, weights, strict=True)}
        spec = self._route["spec"]
        for path in self._layout.lists:
            spec = _rewritten(spec, path, "spec", changed)
        noted = text is not None or USERS_WEIGHTS in annotations_of(self._route)
        return {"metadata": {"annotations": {USERS_WEIGHTS: text}} if noted else {}, "spec": spec}


def destinations(route: Object, layout: Layout, sides: tuple[Key, Key]) -> Iterator[Destinations]:
    """The lists of a route that have both sides among their destinations."""
    namespace = namespace_of(route)
    for path in layout.lists:
        for at, entries in _lists(route.get("spec") or {}, path, "spec"):
            services = [layout.service_of(entry, namespace) for entry in entries]
            primary, canary = (
                tuple(index for index, service in enumerate(services) if service == side) for side in sides
            )
            if primary and canary:
                yield Destinations(at, entries, primary, canary, layout)


def _lists(node: Any, path: Sequence[str], at: str) -> Iterator[tuple[str, list[Object]]]:
    match path:
        case []:
            yield at, node
        case [first, *rest] if first == EACH:
            for index, item in enumerate(node):
                yield from _lists(item, rest, f"{at}[{index}]")
        case [key, *rest] if node.get(key) is not None:
            yield from _lists(node[key], rest, f"{at}.{key}")


def _rewritten(node: Any, path: Sequence[str], at: str, changed: Mapping[str, list[Object]]) -> Any:
    match path:
        case [first, *rest] if first == EACH:
            return [_rewritten(item, rest, f"{at}[{index}]", changed) for index, item in enumerate(node)]
        case [key, *rest] if node.get(key) is not None:
            return {**node, key: _rewritten(node[key], rest, f"{at}.{key}", changed)}
        case _:
            return changed.get(at, node)


def _records(route: Object) -> dict[str, Any]:
    """What Canaries keep of a route.

    Raises:
        ValueError: the annotation holds something else.
    """
    text = annotations_of(route).get(USERS_WEIGHTS)
    records = json.loads(text) if text is not None else {}
    match records:
        case dict() if all(_is_record(record) for record in records.values()):
            return records
    raise ValueError(f"{text!r} is not what was kept there")


def _is_record(record: Any) -> bool:
    match record:
        case {"canary": int(), "lists": list(lists)}:
            return all({"at", "print", "weights"} <= each.keys() for each in lists)
    return False


def _users_weights(lists: Sequence[Destinations], kept: Mapping[str, Any] | None) -> Iterator[Weights]:
    """What the user wrote into each list: what was kept of it, or else what is there.

    A list is found again by what is in it, as others may have been put before it; one that has been edited
    by its place.
    """
    by_print, by_place = defaultdict[str, list[Weights]](list), dict[str, Weights]()
    for record in kept["lists"] if kept else ():
        by_print[record["print"]].append(tuple(record["weights"]))
        by_place[record["at"]] = tuple(record["weights"])
    for each in lists:
        found = by_print[each.print]
        weights = found.pop(0) if found else by_place.get(each.at, each.live)
        yield weights if len(weights) == len(each.ours) else each.live
