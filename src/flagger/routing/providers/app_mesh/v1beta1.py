"""App Mesh's older API: the router is part of the virtual service, and all ports are those of the Services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.manifest import manifest, plain_manifest
from flagger.routing.providers.app_mesh.routes import (
    Route,
    apex_routes,
    canary_route,
    gateway_annotations,
    logging,
    milliseconds,
    path_prefix,
    protocol,
    retries,
)

NODE = Kind("appmesh.k8s.aws", "v1beta1", "VirtualNode", "virtualnodes")
SERVICE = Kind("appmesh.k8s.aws", "v1beta1", "VirtualService", "virtualservices")


class V1Beta1:
    """`appmesh.k8s.aws/v1beta1`."""

    kinds: Sequence[Kind] = (SERVICE, NODE)
    node = NODE

    def places(self, canary: Canary) -> Sequence[Place]:
        """The two virtual services and the nodes."""
        nodes = [Place(NODE, canary.namespace, name) for name in canary.service_names]
        return (self.split_place(canary), _service_place(canary, canary.service_names.canary), *nodes)

    def split_place(self, canary: Canary) -> Place:
        """The virtual service of the apex."""
        return _service_place(canary, canary.service_names.apex)

    def objects(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """Everything; see `Router.desired`."""
        if not canary.spec.service.mesh_name:
            raise RouteError(
                f"spec.service.meshName of {canary.name}.{canary.namespace} is empty: name the mesh"
            )
        apex, primary, candidate = canary.service_names
        return [
            _node(canary, apex, primary),
            _node(canary, primary, primary),
            _node(canary, candidate, candidate),
            _service(canary, apex, apex_routes(canary, split), live),
            _service(canary, candidate, [canary_route(canary)], live),
        ]

    def targets(self, route: Object) -> Mapping[str, int]:
        """The weights of a live route by the names of its nodes."""
        action = (route.get("http") or {}).get("action") or {}
        return {target["virtualNodeName"]: target["weight"] for target in action.get("weightedTargets") or ()}


def _service_place(canary: Canary, name: str) -> Place:
    return Place(SERVICE, canary.namespace, f"{name}.{canary.namespace}")


def _node(canary: Canary, name: str, service: str) -> Object:
    backends = [
        {"virtualService": {"virtualServiceName": backend}} for backend in canary.spec.service.backends
    ]
    spec = {
        "meshName": canary.spec.service.mesh_name,
        "listeners": [_listener(canary)],
        "serviceDiscovery": {"dns": {"hostName": f"{service}.{canary.namespace}"}},
        "backends": backends or None,
        "logging": logging(canary),
    }
    return manifest(NODE, canary, name, spec)


def _listener(canary: Canary) -> Object:
    return {"portMapping": {"port": canary.spec.service.port, "protocol": protocol(canary)}}


def _service(canary: Canary, name: str, routes: Sequence[Route], live: Live) -> Object:
    """A virtual service; only that of the apex is for users outside the mesh."""
    annotations = gateway_annotations(canary) if name == canary.service_names.apex else {}
    spec = {
        "meshName": canary.spec.service.mesh_name,
        "virtualRouter": {"name": name, "listeners": [_listener(canary)]},
        "routes": [_route(canary, route) for route in routes],
    }
    place = _service_place(canary, name)
    return plain_manifest(SERVICE, canary, place.name, spec, annotations, live.get(place))


def _route(canary: Canary, route: Route) -> Object:
    repeated = retries(canary)
    return {
        "name": route.name,
        "priority": route.priority,
        "http": {
            "match": {"prefix": path_prefix(canary), "headers": route.headers},
            "retryPolicy": repeated
            and {
                "perRetryTimeoutMillis": milliseconds(repeated.timeout),
                "maxRetries": repeated.attempts,
                "httpRetryEvents": repeated.events,
            },
            "action": {
                "weightedTargets": [
                    {"virtualNodeName": node, "weight": weight} for node, weight in route.targets.items()
                ]
            },
        },
    }
