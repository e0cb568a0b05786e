"""What the runs of `test_providers.py` must know of a provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


def a_front(family: str, name: str = "front") -> Object:
    """The Service at which the sandbox serves what an ingress controller of this family would."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"sandbox.flagger.app/ingress": family}},
        "spec": {"ports": [{"name": "http", "port": 8080}]},
    }


def nothing(_: str) -> Sequence[Object]:
    """No objects."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A provider as a user sets it up for a Canary of some name.

    `objects` are there before the Canary, in its namespace; `kinds` are theirs. `spec` is laid over the
    Canary's spec. Users come through the Service `front` or the Gateway `gateway`; without either they call
    the apex Service. `tested` are the headers of requests that an A/B test is about. `switches` says whether
    a blue/green release gives everybody to the new version before it is promoted. `title` tells several
    settings of one provider apart.
    """

    provider: str
    strategies: Sequence[str]
    spec: Callable[[str], Mapping[str, Any]]
    objects: Callable[[str], Sequence[Object]] = nothing
    kinds: Sequence[Kind] = ()
    front: str = ""
    gateway: str = ""
    switches: bool = True
    title: str = ""
    analysis: Mapping[str, Mapping[str, Any]] | None = None
    tested: Mapping[str, str] = field(default_factory=lambda: {"x-version": "next"})

    @property
    def name(self) -> str:
        """How the setting is called in the matrix."""
        return self.title or self.provider

    def analysis_of(self, strategy: str) -> Mapping[str, Any]:
        """The analysis with which a strategy is asked for."""
        return (self.analysis or {}).get(strategy, ANALYSES[strategy])
