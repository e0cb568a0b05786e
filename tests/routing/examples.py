"""Canaries for routers, what users of each provider have in place, and splits as tests write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flagger.api.canary import Canary
from flagger.kube.objects import INGRESS, Object, name_of
from flagger.rollout.state import Split
from flagger.routing.base import Live, Place, Router
from flagger.routing.providers.apisix import APISIX_ROUTE

WEIGHTED = {"stepWeight": 10, "maxWeight": 50}
OWNER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "name": "basket",
    "uid": "uid-of-basket",
    "controller": True,
    "blockOwnerDeletion": True,
}


def an_ingress(**metadata: Any) -> Object:
    """The Ingress through which users come to the basket, which has a neighbour."""
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {"name": "public", "namespace": "shop", **metadata},
        "spec": {
            "rules": [
                {
                    "host": "basket.example.test",
                    "http": {"paths": [a_path("/", "basket", 8080), a_path("/help", "help", 80)]},
                }
            ]
        },
    }


def a_path(path: str, service: str, port: int) -> Object:
    """A path of an Ingress."""
    backend = {"service": {"name": service, "port": {"number": port}}}
    return {"path": path, "pathType": "Prefix", "backend": backend}


def an_apisix_route(**metadata: Any) -> Object:
    """The ApisixRoute through which users come to the basket."""
    backend = {"serviceName": "basket", "servicePort": 8080, "resolveGranularity": "service"}
    rule = {
        "name": "api",
        "priority": 5,
        "match": {"hosts": ["basket.example.test"], "methods": ["GET"], "paths": ["/*"]},
        "backends": [backend],
        "plugins": [{"name": "prometheus", "enable": True, "config": {"prefer_name": True}}],
    }
    return {
        "apiVersion": APISIX_ROUTE.api_version,
        "kind": APISIX_ROUTE.kind,
        "metadata": {"name": "routes", "namespace": "shop", **metadata},
        "spec": {"http": [rule]},
    }


NEEDED: Mapping[str, Sequence[Object]] = {"apisix": [an_apisix_route()], "skipper": [an_ingress()]}
"""What is in the cluster before a router makes its objects, for providers that need anything."""

SPECS: Mapping[str, Object] = {
    "apisix": {"routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "routes"}},
    "skipper": {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "public"}},
}
"""What a Canary's spec says about its provider, for providers that have to be told anything."""


def needed(provider: str, router: Router) -> Live:
    """What is in the cluster before the router of a provider makes its objects."""
    return live_of(router, *NEEDED.get(provider, ()))


def live_of(router: Router, *objects: Object) -> Live:
    """Objects as the router is given them."""
    kinds = {(kind.api_version, kind.kind): kind for kind in router.kinds}
    places = (Place(kinds[obj["apiVersion"], obj["kind"]], "shop", name_of(obj)) for obj in objects)
    return dict(zip(places, objects, strict=True))


def basket(
    provider: str = "gatewayapi:v1",
    *,
    spec: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] | None = None,
    **status: Any,
) -> Canary:
    """A Canary of Deployment `basket` behind the Gateway `edge`, or whatever its provider needs."""
    default = {"port": 8080, "gatewayRefs": [{"name": "edge"}]}
    return Canary.parse(
        {
            "metadata": {"name": "basket", "namespace": "shop", "uid": "uid-of-basket"},
            "spec": {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "basket"},
                "service": default if service is None else service,
                "analysis": {
                    "interval": "30s",
                    "threshold": 5,
                    **(WEIGHTED if analysis is None else analysis),
                },
                **(SPECS.get(provider, {}) if spec is None else spec),
            },
            "status": status,
        }
    )


def split(text: str) -> Split:
    """A split as it prints itself: `70/30`, `100/0 +mirror`."""
    weights, _, mirrored = text.partition(" ")
    return Split(int(weights.partition("/")[2]), bool(mirrored))
