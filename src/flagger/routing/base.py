"""The contract of a router: it translates between a split and the objects of one traffic API, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split


class Place(NamedTuple):
    """Where an object of a cluster is; cluster-scoped kinds have the namespace ""."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.name}" + (f".{self.namespace}" if self.namespace else "")


Live = Mapping[Place, Object]
"""The objects of a router as they are in the cluster; those that don't exist are left out."""


class RouteError(Exception):
    """A routing object is missing, foreign, rejected or can't be made; the text names object and field.

    `written` is the split that it asks for although its controller has not taken it over.
    """

    def __init__(self, text: str, written: Split | None = None) -> None:
        super().__init__(text)
        self.written = written


class Router(Protocol):
    """One traffic API.

    `kinds` are the resource types it writes or reads, `early` says that pods need its objects to start.
    """

    features: frozenset[Feature]
    kinds: Sequence[Kind]
    early: bool

    def places(self, canary: Canary) -> Sequence[Place]:
        """Every object that it reads or writes for this Canary; a change of one wakes the Canary."""

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The objects that make `split` so, complete in every field that the router owns.

        A None takes a field away; whatever is not mentioned stays. `live` is what is at `places`.

        Raises:
            RouteError: the Canary asks for something that can't be expressed, or something that it refers
                to is missing; names the field.
        """

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The split that the live objects make.

        Raises:
            RouteError: an object is missing, rejected by its controller, or doesn't name both sides.
        """
