"""The two Upstreams of a RouteTable: the Services of primary and canary as Gloo calls them.

Connection settings come from an Upstream that the Canary names, as they are there: nothing else is read of it.
"""

from __future__ import annotations

from flagger.api.canary import Canary
from flagger.kube.objects import SERVICE, Kind, Object
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.overlay import instead_of

UPSTREAM = Kind("gloo.solo.io", "v1", "Upstream", "upstreams")
SETTINGS = (
    "labels",
    "sslConfig",
    "circuitBreakers",
    "connectionConfig",
    "loadBalancerConfig",
    "useHttp2",
    "initialStreamWindowSize",
    "initialConnectionWindowSize",
    "httpProxyHostname",
)
"""The fields that both Upstreams take over from the one that the Canary names."""


def upstream_of(canary: Canary, service: str) -> Place:
    """Where the Upstream of a Service is: `basket-primary` → `shop-basket-primaryupstream-8080`."""
    name = f"{canary.namespace}-{service}upstream-{canary.spec.service.port}"
    return Place(UPSTREAM, canary.namespace, name)


def template_of(canary: Canary) -> Place | None:
    """Where the Upstream is whose settings are taken over; None without one."""
    ref = canary.spec.upstream_ref
    return Place(UPSTREAM, ref.namespace or canary.namespace, ref.name) if ref else None


def desired_upstream(canary: Canary, service: str, live: Live) -> Object:
    """The Upstream of a Service.

    Raises:
        RouteError: the Service, or the Upstream with the settings, is missing.
    """
    place, home = upstream_of(canary, service), Place(SERVICE, canary.namespace, service)
    found = live.get(home)
    if found is None:
        raise RouteError(f"{place} can't be made: {home} not found")
    kube = {
        "serviceName": service,
        "serviceNamespace": canary.namespace,
        "servicePort": canary.spec.service.port,
        "selector": found["spec"].get("selector"),
    }
    before = live.get(place, {}).get("spec", {})
    spec = instead_of({"kube": before.get("kube")}, {"kube": kube}) | _settings(canary, before, live)
    metadata = {
        "name": place.name,
        "namespace": place.namespace,
        "ownerReferences": [canary.owner_reference],
    }
    return {"apiVersion": UPSTREAM.api_version, "kind": UPSTREAM.kind, "metadata": metadata, "spec": spec}


def _settings(canary: Canary, before: Object, live: Live) -> Object:
    """The settings of the Upstream that the Canary names, and nothing of others in their places."""
    place = template_of(canary)
    if place is None:
        return {}
    template = live.get(place)
    if template is None:
        raise RouteError(
            f"{place}, which spec.upstreamRef of {canary.name}.{canary.namespace} names, not found"
        )
    return {name: instead_of(before.get(name), template["spec"].get(name)) for name in SETTINGS}
