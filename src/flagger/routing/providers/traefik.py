"""The router of Traefik: one TraefikService of the apex's name, to which the user's IngressRoute leads.

Field meanings: https://doc.traefik.io/traefik/routing/providers/kubernetes-crd/#kind-traefikservice
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest
from flagger.routing.shares import share_of

TRAEFIK_SERVICE = Kind("traefik.io", "v1alpha1", "TraefikService", "traefikservices")


class Traefik:
    """Splits by the weights of Services; can't match, mirror or pin requests."""

    features = frozenset({Feature.WEIGHTS})
    kinds: Sequence[Kind] = (TRAEFIK_SERVICE,)
    early = False

    def places(self, canary: Canary) -> Sequence[Place]:
        """The one TraefikService."""
        return (_place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The TraefikService; the canary is listed while it gets traffic. See `Router.desired`.

        Traefik takes a missing weight for 1, so the primary's zero is written out.
        """
        apex, primary, candidate = canary.service_names
        weights = {primary: split.primary} | ({candidate: split.canary} if split.canary else {})
        known = {service["name"]: service for service in _services(live.get(_place(canary)))}
        own = {"namespace": canary.namespace, "port": canary.spec.service.port}
        services = [
            {**known.get(name, {}), "name": name, **own, "weight": weight} for name, weight in weights.items()
        ]
        return [manifest(TRAEFIK_SERVICE, canary, apex, {"weighted": {"services": services}})]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the two Services; see `Router.split_of`.

        Upstream leaves out a weight of 0, and so the primary's while everybody is on the canary.
        """
        place, (_, primary, candidate) = _place(canary), canary.service_names
        if place not in live:
            raise RouteError(f"{place} not found")
        weights = {service["name"]: service.get("weight", 0) for service in _services(live[place])}
        if primary not in weights:
            raise RouteError(f"{place} has no service {primary} in spec.weighted.services")
        return Split(share_of([weights[primary]], [weights.get(candidate, 0)]))

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Nothing: the object goes with the Canary, or stays on the primary where it was there before."""
        return {}


def _place(canary: Canary) -> Place:
    return Place(TRAEFIK_SERVICE, canary.namespace, canary.service_names.apex)


def _services(obj: Object | None) -> Sequence[Object]:
    spec = (obj or {}).get("spec") or {}
    return (spec.get("weighted") or {}).get("services") or ()
