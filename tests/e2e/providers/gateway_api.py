"""Gateway API: HTTPRoutes that are made for the Canary, and one that is its user's."""

from collections.abc import Sequence
from typing import Any

from flagger.kube.objects import Kind, Object
from tests.e2e.providers.setting import AB, AFFINITY, BLUE_GREEN, CANARY, MIRROR, PORT, Setting

HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")


def _spec(name: str) -> dict[str, Any]:
    return {"service": {"hosts": [f"{name}.example"], "gatewayRefs": [{"name": "public"}]}}


def _refers(name: str) -> dict[str, Any]:
    ref = {"apiVersion": HTTP_ROUTE.api_version, "kind": HTTP_ROUTE.kind, "name": f"{name}-own"}
    return {"service": {"routeRef": ref}}


def _own_route(name: str) -> Sequence[Object]:
    """Two rules that lead to both sides."""
    sides = {f"{name}-primary": 1, f"{name}-canary": 0}
    backends = [{"name": side, "port": PORT, "weight": weight} for side, weight in sides.items()]
    paths = [[{"path": {"type": "PathPrefix", "value": path}}] for path in ("/api", "/")]
    spec = {
        "parentRefs": [{"name": "public"}],
        "hostnames": [f"{name}.example"],
        "rules": [{"matches": matches, "backendRefs": backends} for matches in paths],
    }
    metadata = {"name": f"{name}-own"}
    return [
        {"apiVersion": HTTP_ROUTE.api_version, "kind": HTTP_ROUTE.kind, "metadata": metadata, "spec": spec}
    ]


BOTH_COOKIES = {
    "stepWeights": [50],
    "sessionAffinity": {"cookieName": "next", "primaryCookieName": "stay", "httpOnly": True},
}
GATEWAY_API = [
    *(
        Setting(
            provider=f"gatewayapi:{version}",
            strategies=(CANARY, AB, BLUE_GREEN, MIRROR, AFFINITY),
            spec=_spec,
            gateway="public",
            analysis=analysis,
        )
        for version, analysis in (("v1", {AFFINITY: BOTH_COOKIES}), ("v1beta1", None))
    ),
    Setting(
        title="gatewayapi:v1 in place",
        provider="gatewayapi:v1",
        strategies=(CANARY, BLUE_GREEN),
        spec=_refers,
        objects=_own_route,
        kinds=(HTTP_ROUTE,),
        gateway="public",
    ),
]
