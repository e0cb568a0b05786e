"""Kuma: one TrafficRoute of the apex's name, for the whole cluster.

Field meanings: https://kuma.io/docs/ (TrafficRoute). The splits are always the primary first, then the canary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.api.names import KUMA_MESH
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.adoption import given_back, noted
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest
from flagger.routing.sides import names_both, split_by_name

TRAFFIC_ROUTE = Kind("kuma.io", "v1alpha1", "TrafficRoute", "trafficroutes", namespaced=False)
SERVICE_TAG = "kuma.io/service"


class Kuma:
    """Splits by weights; cannot match or mirror requests.

    Routes are cluster-wide and can't be owned by a Canary: two Canaries whose apex Services have the same name
    would share one, so the second is refused.
    """

    features = frozenset({Feature.WEIGHTS})
    kinds: Sequence[Kind] = (TRAFFIC_ROUTE,)
    early: Sequence[Kind] = ()

    def places(self, canary: Canary) -> Sequence[Place]:
        """The one TrafficRoute."""
        return (_place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The TrafficRoute; see `Router.desired`."""
        place = _place(canary)
        found = live.get(place)
        taken = found is not None and names_both(_weights(found, canary), canary)
        if found is not None and not taken:
            _check_namespace(found, canary)
        apex, primary, candidate = canary.service_names
        spec = {
            "sources": [{"match": {SERVICE_TAG: "*"}}],
            "destinations": [{"match": {SERVICE_TAG: _tag(canary, apex)}}],
            "conf": {
                "split": [
                    {"weight": split.primary, "destination": {SERVICE_TAG: _tag(canary, primary)}},
                    {"weight": split.canary, "destination": {SERVICE_TAG: _tag(canary, candidate)}},
                ],
                "destination": None,
            },
        }
        wanted = manifest(TRAFFIC_ROUTE, canary, apex, spec)
        for member in ("namespace", "ownerReferences"):
            del wanted["metadata"][member]
        if found is None:  # the mesh of a route can't be changed
            wanted["mesh"] = canary.metadata.annotations.get(KUMA_MESH, "default")
        return [noted(wanted, found, canary, taken=taken)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the split; see `Router.split_of`."""
        place = _place(canary)
        found = live.get(place)
        if found is None:
            raise RouteError(f"{place} not found")
        return split_by_name(_weights(found, canary), canary, place)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Deletes the route, which nobody else would; one that was there before is left as it was."""
        place = _place(canary)
        found = live.get(place)
        if found is None or not names_both(_weights(found, canary), canary):
            return {}
        return given_back(live, canary, (place,)) or {place: None}


def _place(canary: Canary) -> Place:
    return Place(TRAFFIC_ROUTE, "", canary.service_names.apex)


def _tag(canary: Canary, service: str) -> str:
    """`checkout_shop_svc_80`: what Kuma calls a port of a Service."""
    return f"{service}_{canary.namespace}_svc_{canary.spec.service.port}"


def _weights(route: Object, canary: Canary) -> Mapping[str, int]:
    """The weights of a live route by the names of our own Services, whatever their port."""
    conf = route["spec"].get("conf") or {}
    parts = conf.get("split") or ()
    tags = {part.get("destination", {}).get(SERVICE_TAG, ""): part.get("weight", 0) for part in parts}
    return {
        name: weight
        for tag, weight in tags.items()
        for name in canary.service_names
        if tag.startswith(f"{name}_{canary.namespace}_svc_")
    }


def _check_namespace(route: Object, canary: Canary) -> None:
    """Leave the route of another namespace's Service alone.

    Raises:
        RouteError: the route leads to a Service of the same name elsewhere.
    """
    apex, namespace = canary.service_names.apex, canary.namespace
    for destination in route["spec"].get("destinations") or ():
        tag = destination.get("match", {}).get(SERVICE_TAG, "")
        if tag.startswith(f"{apex}_") and not tag.startswith(f"{apex}_{namespace}_"):
            raise RouteError(
                f"{_place(canary)} is that of {tag}, spec.destinations says, and not of namespace {namespace}: "
                "Kuma's routes are cluster-wide; choose another spec.service.name"
            )
