"""What the runs of `test_providers.py` must know of a provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flagger.kube.objects import Kind, Object

CANARY, AB, BLUE_GREEN, MIRROR, AFFINITY = "canary", "A/B", "blue/green", "mirror", "affinity"
PORT = 9898

ANALYSES: Mapping[str, Mapping[str, Any]] = {
    CANARY: {"stepWeights": [20, 50]},
    AB: {
        "stepWeights": None,
        "iterations": 2,
        "match": [{"headers": {"x-version": {"exact": "next"}}}],
    },
    BLUE_GREEN: {"stepWeights": None, "iterations": 2},
    MIRROR: {"stepWeights": None, "iterations": 2, "mirror": True},
    AFFINITY: {"stepWeights": [50], "sessionAffinity": {"cookieName": "next"}},
}
"""The analysis of each strategy; a provider that matches otherwise gives an A/B analysis of its own."""


def nothing(_: str) -> Sequence[Object]:
    """No objects."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A provider as a user sets it up for a Canary of some name.

    `objects` are there before the Canary, in its namespace; `kinds` are theirs. `spec` is laid over the
    Canary's spec. `front` names the Service through which users come; without one they call the apex Service.
    `tested` are the headers of requests that an A/B test is about.
    """

    provider: str
    strategies: Sequence[str]
    spec: Callable[[str], Mapping[str, Any]]
    objects: Callable[[str], Sequence[Object]] = nothing
    kinds: Sequence[Kind] = ()
    front: str = ""
    analysis: Mapping[str, Mapping[str, Any]] | None = None
    tested: Mapping[str, str] | None = None

    def analysis_of(self, strategy: str) -> Mapping[str, Any]:
        """The analysis with which a strategy is asked for."""
        return (self.analysis or {}).get(strategy, ANALYSES[strategy])
