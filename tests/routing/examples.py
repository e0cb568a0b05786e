"""Canaries for routers, and splits as tests write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flagger.api.canary import Canary
from flagger.kube.objects import Object, name_of, namespace_of
from flagger.rollout.state import Split
from flagger.routing.base import Live, Place, Router

WEIGHTED = {"stepWeight": 10, "maxWeight": 50}
OWNER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "name": "basket",
    "uid": "uid-of-basket",
    "controller": True,
    "blockOwnerDeletion": True,
}


def a_service(name: str, pods: str) -> Object:
    """A Service as it is before the routes are made."""
    spec = {"selector": {"app": pods}, "ports": [{"name": "http", "port": 8080}]}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


SERVICES = [a_service("basket-primary", "basket-primary"), a_service("basket-canary", "basket")]
INGRESS: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "basket-public", "namespace": "shop"},
    "spec": {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "basket.example.test",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "basket", "port": {"number": 8080}}},
                        }
                    ]
                },
            }
        ],
    },
}
INGRESS_REF = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "basket-public"}

NEEDED: Mapping[str, Sequence[Object]] = {
    "appmesh:v1beta2": SERVICES,
    "gloo": SERVICES,
    "nginx": [INGRESS],
}
"""What is in the cluster before a router makes its objects, for providers that need anything."""

SPECS: Mapping[str, Object] = {"nginx": {"ingressRef": INGRESS_REF}}
"""What a Canary's spec says about its provider, for providers that have to be told anything."""


def needed(provider: str, router: Router) -> Live:
    """What is in the cluster before the router of a provider makes its objects."""
    kinds = {kind.kind: kind for kind in router.kinds}
    objects = NEEDED.get(provider, ())
    return {Place(kinds[obj["kind"]], namespace_of(obj), name_of(obj)): obj for obj in objects}


def basket(
    provider: str = "gatewayapi:v1",
    *,
    spec: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    **status: Any,
) -> Canary:
    """A Canary of Deployment `basket` behind the Gateway `edge` and in the mesh `global`, or whatever is needed."""
    default = {"port": 8080, "gatewayRefs": [{"name": "edge"}], "meshName": "global"}
    return Canary.parse(
        {
            "metadata": {
                "name": "basket",
                "namespace": "shop",
                "uid": "uid-of-basket",
                "annotations": annotations or {},
            },
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
