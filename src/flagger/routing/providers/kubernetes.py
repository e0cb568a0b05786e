"""Plain Kubernetes networking: nothing but the Services, so traffic can't be divided."""

from __future__ import annotations

from collections.abc import Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place


class Kubernetes:
    """Moves no traffic: users change over when the primary rolls."""

    features: frozenset[Feature] = frozenset()
    kinds: Sequence[Kind] = ()
    early = False

    def places(self, canary: Canary) -> Sequence[Place]:
        """None."""
        return ()

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """No objects."""
        return ()

    def split_of(self, canary: Canary, live: Live) -> Split:
        """A run past its first iteration counts as being on the canary, as upstream reports it."""
        return Split(100 if canary.status.iterations > 0 else 0)
