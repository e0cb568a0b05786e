"""The contract of a router: it translates between a split and the objects of one traffic API, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split

Live = Mapping[tuple[str, str], Object]
"""The objects of a router as they are in the cluster, by kind and name."""


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

    def desired(self, canary: Canary, split: Split) -> Sequence[Object]:
        """The objects that make `split` so, complete in every field that the router owns.

        Raises:
            RouteError: the Canary asks for something that can't be expressed; names the field.
        """

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The split that the live objects make.

        Raises:
            RouteError: an object is missing, rejected by its controller, or doesn't name both sides.
        """
