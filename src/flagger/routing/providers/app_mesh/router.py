"""The router of App Mesh, for both versions of its API.

Field meanings: https://aws.github.io/aws-app-mesh-controller-for-k8s/reference/api_spec/. Pods get their sidecars
from virtual nodes, so these are there before the pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flagger.api.canary import Canary
from flagger.kube.objects import SERVICE, Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.adoption import given_back, noted
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.providers.app_mesh.v1beta1 import V1Beta1
from flagger.routing.providers.app_mesh.v1beta2 import V1Beta2
from flagger.routing.sides import names_both, split_by_name


class Version(Protocol):
    """What differs between the versions; `node` is the kind that stands for pods."""

    kinds: Sequence[Kind]
    node: Kind

    def places(self, canary: Canary) -> Sequence[Place]:
        """See `Router.places`."""

    def split_place(self, canary: Canary) -> Place:
        """The object whose `spec.routes` divide the traffic."""

    def objects(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """See `Router.desired`."""

    def targets(self, route: Object) -> Mapping[str, int]:
        """The weights of a live route by Service name; empty if it isn't one for HTTP."""


VERSIONS: Mapping[str, Version] = {"v1beta1": V1Beta1(), "v1beta2": V1Beta2()}


class AppMesh:
    """Splits by weighted targets, matches headers; cannot mirror requests."""

    features = frozenset({Feature.WEIGHTS, Feature.MATCH})

    def __init__(self, version: str) -> None:
        self._version = VERSIONS[version]
        self.kinds: Sequence[Kind] = self._version.kinds
        self.early: Sequence[Kind] = (self._version.node,)

    def places(self, canary: Canary) -> Sequence[Place]:
        """Nodes, routers and virtual services."""
        return self._version.places(canary)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """All objects; see `Router.desired`."""
        places = {(place.kind.kind, place.name): place for place in self.places(canary)}
        wanted = []
        for obj in self._version.objects(canary, split, live):
            place = places[obj["kind"], obj["metadata"]["name"]]
            taken = place in live and names_both(self._weights(canary, live[place]), canary)
            wanted.append(noted(obj, live.get(place), canary, taken=taken))
        return wanted

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the first route that names both sides; see `Router.split_of`."""
        place = self._version.split_place(canary)
        found = live.get(place)
        if found is None:
            raise RouteError(f"{place} not found")
        return split_by_name(self._weights(canary, found), canary, place)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Objects that were there before, as they were."""
        return given_back(live, canary, (place for place in live if place.kind != SERVICE))

    def _weights(self, canary: Canary, obj: Object) -> Mapping[str, int]:
        """The weights of an object's first route that names both sides; none if there is none."""
        routes = obj["spec"].get("routes") or ()
        found = (self._version.targets(route) for route in routes)
        return next((weights for weights in found if names_both(weights, canary)), {})
