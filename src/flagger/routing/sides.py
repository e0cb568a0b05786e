"""What a live object says of the two sides of a Canary. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.canary import Canary
from flagger.rollout.state import Split
from flagger.routing.base import Place, RouteError
from flagger.routing.shares import share_of


def names_both(weights: Mapping[str, int], canary: Canary) -> bool:
    """Whether weights by Service name are those of a Canary."""
    _, primary, candidate = canary.service_names
    return primary in weights and candidate in weights


def split_by_name(weights: Mapping[str, int], canary: Canary, place: Place) -> Split:
    """The split that weights by Service name make.

    Raises:
        RouteError: one of the two sides isn't among them.
    """
    _, primary, candidate = canary.service_names
    if not names_both(weights, canary):
        raise RouteError(f"{place} doesn't divide the traffic between {primary} and {candidate}")
    return Split(share_of([weights[primary]], [weights[candidate]]))
