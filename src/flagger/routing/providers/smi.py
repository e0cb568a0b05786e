"""SMI: one TrafficSplit of the apex's name, for Linkerd, OSM and whoever else reads them.

Field meanings: https://github.com/servicemeshinterface/smi-spec (TrafficSplit). Backends are always the canary
first, then the primary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import HOME, Feature, Split
from flagger.routing.adoption import given_back, noted
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import plain_manifest
from flagger.routing.original import is_ours, released
from flagger.routing.sides import names_both, split_by_name

GATEWAYS = "VirtualService.v1alpha3.networking.istio.io/spec.gateways"
"""Tells the SMI adapter of Istio which gateways its VirtualService is for."""
_BY_SERVICE = frozenset({"linkerd", "osm"})
"""Meshes that look the root service up as a Service: a host name there is nobody's."""


class Smi:
    """Splits by backend weights; cannot match or mirror requests."""

    features = frozenset({Feature.WEIGHTS})
    early: Sequence[Kind] = ()

    def __init__(self, version: str, mesh: str = "") -> None:
        self.split_kind = Kind("split.smi-spec.io", version, "TrafficSplit", "trafficsplits")
        self.kinds: Sequence[Kind] = (self.split_kind,)
        self._mesh = mesh
        self._quantities = version == "v1alpha1"

    def places(self, canary: Canary) -> Sequence[Place]:
        """The one TrafficSplit."""
        return (self._place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The TrafficSplit; see `Router.desired`."""
        apex, primary, candidate = canary.service_names
        weights = {candidate: split.canary, primary: split.primary}
        backends = [{"service": name, "weight": self._weight(weight)} for name, weight in weights.items()]
        spec = {"service": self._root(canary), "backends": backends}
        found = live.get(self._place(canary))
        wanted = plain_manifest(self.split_kind, canary, apex, spec, self._annotations(canary), found)
        taken = found is not None and names_both(_weights(found), canary)
        return [noted(wanted, found, canary, taken=taken)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the backends; see `Router.split_of`."""
        place = self._place(canary)
        found = live.get(place)
        if found is None:
            raise RouteError(f"{place} not found")
        return split_by_name(_weights(found), canary, place)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """A TrafficSplit that was there before leads where it led then; if nobody knows, to the apex Service."""
        place = self._place(canary)
        found = live.get(place)
        if found is None or is_ours(found, canary):
            return {}
        home = {"service": canary.service_names.apex, "weight": self._weight(HOME.primary)}
        homeward = released({**found, "spec": {**found["spec"], "backends": [home]}})
        return given_back(live, canary, (place,)) or {place: homeward}

    def _place(self, canary: Canary) -> Place:
        return Place(self.split_kind, canary.namespace, canary.service_names.apex)

    def _weight(self, percent: int) -> int | str:
        return str(percent) if self._quantities else percent

    def _root(self, canary: Canary) -> str:
        hosts = canary.spec.service.hosts
        return hosts[0] if hosts and self._mesh not in _BY_SERVICE else canary.service_names.apex

    def _annotations(self, canary: Canary) -> Mapping[str, str | None]:
        gateways = canary.spec.service.gateways
        if self._mesh != "istio":
            return {}
        return {GATEWAYS: json.dumps(gateways, separators=(",", ":")) if gateways else None}


def _weights(split: Object) -> Mapping[str, int]:
    """The weights of a live TrafficSplit by Service name, in thousandths."""
    backends = split["spec"].get("backends") or ()
    return {item.get("service", ""): _thousandths(item.get("weight", 0)) for item in backends}


def _thousandths(weight: float | str) -> int:
    """A weight, which v1alpha1 writes as a quantity: `30`, `"30"`, `"500m"`; what is none counts for nothing."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", str(weight))
    return round(float(found[1]) * (1 if found[2] else 1000)) if found else 0
