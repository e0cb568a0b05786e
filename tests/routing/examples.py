"""Canaries for routers, what users of each provider have in place, and splits as tests write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


def without_a_list(spec: Object) -> Object:
    """What comes first of the lists that don't hold the weights is gone."""
    return {next(key for key, value in spec.items() if isinstance(value, list) and key != "rules"): []}


@dataclass(frozen=True, kw_only=True)
class Example:
    """What a provider needs of its users.

    `spec` is laid over the Canary's spec, `objects` are there before the Canary. `damage` is somebody's edit
    of the main object: given its spec, the merge patch that leaves the split as it is.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    objects: Sequence[Object] = ()
    damage: Callable[[Object], Object] = without_a_list


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


EXAMPLES: Mapping[str, Example] = {
    "apisix": Example(
        spec={"routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "routes"}},
        objects=[an_apisix_route()],
        damage=lambda spec: {"http": [{**spec["http"][0], "priority": 1}]},
    ),
    "skipper": Example(
        spec={"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "public"}},
        objects=[an_ingress()],
        damage=lambda spec: {"rules": spec["rules"] * 2},
    ),
    "traefik": Example(
        damage=lambda spec: {
            "weighted": {"services": [{**each, "port": 1} for each in spec["weighted"]["services"]]}
        },
    ),
}
"""Providers whose users have more in place than `Example()`."""


def example_of(provider: str) -> Example:
    """What a provider needs of its users."""
    return EXAMPLES.get(provider, Example())


def live_of(router: Router, *objects: Object) -> Live:
    """Objects as the router is given them."""
    kinds = {(kind.api_version, kind.kind): kind for kind in router.kinds}
    places = (Place(kinds[obj["apiVersion"], obj["kind"]], "shop", name_of(obj)) for obj in objects)
    return dict(zip(places, objects, strict=True))


def basket(
    provider: str = "gatewayapi:v1",
    *,
    service: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] | None = None,
    **status: Any,
) -> Canary:
    """A Canary of Deployment `basket` behind the Gateway `edge`."""
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
                **example_of(provider).spec,
            },
            "status": status,
        }
    )


def split(text: str) -> Split:
    """A split as it prints itself: `70/30`, `100/0 +mirror`."""
    weights, _, mirrored = text.partition(" ")
    return Split(int(weights.partition("/")[2]), bool(mirrored))
