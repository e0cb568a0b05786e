"""What a live object says of the two sides of a Canary. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.canary import Canary
from flagger.rollout.state import Split
from flagger.routing.base import Place, RouteError
from flagger.routing.weights import split_between


def names_both(weights: Mapping[str, float], canary: Canary) -> bool:
    """Whether weights by Service name are those of a Canary."""
    _, primary, candidate = canary.service_names
    return primary in weights and candidate in weights


def split_by_name(weights: Mapping[str, float], canary: Canary, place: Place) -> Split:
    """The split that weights by Service name make.

    Raises:
        RouteError: one of the two sides isn't among them.
    """
    _, primary, candidate = canary.service_names
    if not names_both(weights, canary):
        raise RouteError(f"{place} doesn't divide the traffic between {primary} and {candidate}")
    return split_between(weights[primary], weights[candidate])
