"""Which Canaries there are and which objects each of them looks at; in memory, filled by the watch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.kube.objects import Kind

Reference = tuple[Kind, str, str]
"""Kind, namespace and name of an object that a Canary looks at."""

Claim = tuple[str, str, str]
"""Kind, namespace and name of something that belongs to one Canary alone."""

Entry = TypeVar("Entry", Reference, Claim)


class Registry:
    """All Canaries that can be read, by key, by what they look at and by what they claim."""

    def __init__(self) -> None:
        self._canaries: dict[str, Canary] = {}
        self._references: dict[str, frozenset[Reference]] = {}
        self._lookers: dict[Reference, set[str]] = defaultdict(set)
        self._claimants: dict[Claim, set[str]] = defaultdict(set)
        self._sighted: dict[str, frozenset[Reference]] = {}
        self._sighters: dict[Reference, set[str]] = defaultdict(set)
        self.on_sight: Callable[[Kind], None] | None = None
        """Told of the kinds of what is sighted."""

    def sighted(self, key: str, references: Iterable[Reference]) -> None:
        """Take note of what the last tick of a Canary has found that it depends on; replaces what was noted."""
        before, after = self._sighted.pop(key, frozenset()), frozenset(references)
        for reference in before - after:
            _discard(self._sighters, reference, key)
        for reference in after:
            self._sighters[reference].add(key)
        if after:
            self._sighted[key] = after
        if self.on_sight is not None:
            for kind in {kind for kind, *_ in after - before}:
                self.on_sight(kind)

    def remember(self, canary: Canary, references: Iterable[Reference]) -> None:
        """Take note of a Canary that is not known, and of the objects it looks at."""
        key = canary.key
        self._canaries[key] = canary
        self._references[key] = frozenset(references)
        for reference in self._references[key]:
            self._lookers[reference].add(key)
        for claim in claims_of(canary):
            self._claimants[claim].add(key)

    def forget(self, key: str) -> Canary | None:
        """Drop a Canary; returns what was known of it."""
        canary = self._canaries.pop(key, None)
        if canary is None:
            return None
        for reference in self._references.pop(key):
            _discard(self._lookers, reference, key)
        for claim in claims_of(canary):
            _discard(self._claimants, claim, key)
        return canary

    def looking_at(self, reference: Reference) -> list[Canary]:
        """The Canaries that are concerned by a change of this object."""
        keys = {*self._lookers.get(reference, ()), *self._sighters.get(reference, ())}
        return [self._canaries[key] for key in keys & self._canaries.keys()]

    def rivals(self, canary: Canary) -> list[Canary]:
        """The other Canaries that claim something which this one claims too."""
        keys = {key for claim in claims_of(canary) for key in self._claimants.get(claim, ())}
        return [self._canaries[key] for key in keys if key != canary.key]

    def dispute(self, canary: Canary) -> FieldError | None:
        """Why this Canary has to wait for an older one that claims the same; None for the oldest."""
        elder = min(
            (other for other in self.rivals(canary) if _age(other) < _age(canary)), key=_age, default=None
        )
        if elder is None:
            return None
        owner, target = f"the older Canary {elder.name}.{elder.namespace}", canary.spec.target_ref
        if _target_of(elder) == _target_of(canary):
            problem = f"{target.kind} {target.name} is released by {owner} already"
            return FieldError("spec.targetRef", problem, "delete one of the two, or name another target")
        problem = f"the Services {', '.join(canary.service_names)} belong to {owner}"
        return FieldError("spec.service.name", problem, "choose another name")

    def population(self) -> dict[str, int]:
        """Number of Canaries per namespace."""
        return dict(Counter(canary.namespace for canary in self._canaries.values()))


def claims_of(canary: Canary) -> frozenset[Claim]:
    """The target and the apex Service: two Canaries on one of them would undo each other's work for ever."""
    return frozenset({_target_of(canary), ("Service", canary.namespace, canary.service_names.apex)})


def _target_of(canary: Canary) -> Claim:
    return canary.spec.target_ref.kind, canary.namespace, canary.target_name


def _age(canary: Canary) -> tuple[str, str]:
    return canary.metadata.creation_timestamp, canary.name


def _discard(index: dict[Entry, set[str]], entry: Entry, key: str) -> None:
    index[entry].discard(key)
    if not index[entry]:
        del index[entry]
