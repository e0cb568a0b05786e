"""App Mesh's current API: nodes select pods, virtual services refer to routers, and ports are the containers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.kube.objects import SERVICE as KUBERNETES_SERVICE
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
    time_limit,
)

NODE = Kind("appmesh.k8s.aws", "v1beta2", "VirtualNode", "virtualnodes")
ROUTER = Kind("appmesh.k8s.aws", "v1beta2", "VirtualRouter", "virtualrouters")
SERVICE = Kind("appmesh.k8s.aws", "v1beta2", "VirtualService", "virtualservices")
_ARN = "arn:aws"


class V1Beta2:
    """`appmesh.k8s.aws/v1beta2`."""

    kinds: Sequence[Kind] = (ROUTER, SERVICE, NODE, KUBERNETES_SERVICE)
    node = NODE

    def places(self, canary: Canary) -> Sequence[Place]:
        """The routers, virtual services and nodes, and the Services whose pods the nodes select."""
        apex, primary, candidate = canary.service_names
        wanted = [(kind, name) for kind in (ROUTER, SERVICE) for name in (apex, candidate)]
        wanted += [(kind, name) for kind in (NODE, KUBERNETES_SERVICE) for name in (primary, candidate)]
        return [Place(kind, canary.namespace, name) for kind, name in wanted]

    def split_place(self, canary: Canary) -> Place:
        """The virtual router of the apex."""
        return Place(ROUTER, canary.namespace, canary.service_names.apex)

    def objects(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """Everything; see `Router.desired`."""
        apex, primary, candidate = canary.service_names
        return [
            _node(canary, primary, live),
            _node(canary, candidate, live),
            _router(canary, apex, apex_routes(canary, split)),
            _service(canary, apex, live),
            _router(canary, candidate, [canary_route(canary)]),
            _service(canary, candidate, live),
        ]

    def targets(self, route: Object) -> Mapping[str, int]:
        """The weights of a live route by the names of its nodes."""
        action = (route.get("httpRoute") or {}).get("action") or {}
        found = action.get("weightedTargets") or ()
        return {
            target["virtualNodeRef"]["name"]: target["weight"]
            for target in found
            if "virtualNodeRef" in target
        }


def _node(canary: Canary, name: str, live: Live) -> Object:
    limit = time_limit(canary)
    listener = _listener(canary) | {"timeout": None if limit is None else {"http": _per_request(limit)}}
    spec = {
        "podSelector": {"matchLabels": _pods(canary, name, live)},
        "listeners": [listener],
        "serviceDiscovery": {
            "dns": {"hostname": f"{name}.{canary.namespace}.svc.cluster.local."},
            "awsCloudMap": None,
        },
        "backends": [_backend(each) for each in canary.spec.service.backends] or None,
        "logging": logging(canary),
    }
    return manifest(NODE, canary, name, spec)


def _pods(canary: Canary, name: str, live: Live) -> Object:
    """The labels of the pods behind a Service.

    Raises:
        RouteError: there is no such Service.
    """
    place = Place(KUBERNETES_SERVICE, canary.namespace, name)
    service = live.get(place)
    if service is None:
        raise RouteError(f"{place} not found: VirtualNode {name} selects the pods of its spec.selector")
    return dict(service["spec"].get("selector") or {})


def _backend(name: str) -> Object:
    arn = name.startswith(_ARN)
    return {
        "virtualService": {
            "virtualServiceRef": None if arn else {"name": name, "namespace": None},
            "virtualServiceARN": name if arn else None,
        }
    }


def _listener(canary: Canary) -> Object:
    target = canary.target_port
    port = target if isinstance(target, int) and target > 0 else canary.spec.service.port
    return {"portMapping": {"port": port, "protocol": protocol(canary)}}


def _router(canary: Canary, name: str, routes: Sequence[Route]) -> Object:
    spec = {
        "listeners": [_listener(canary)],
        "routes": [_route(canary, route) for route in routes],
    }
    return plain_manifest(ROUTER, canary, name, spec)


def _service(canary: Canary, name: str, live: Live) -> Object:
    """A virtual service; only that of the apex is for users outside the mesh."""
    router = {"virtualRouterRef": {"name": name, "namespace": None}}
    spec = {"provider": {"virtualRouter": router, "virtualNode": None}}
    annotations = gateway_annotations(canary) if name == canary.service_names.apex else {}
    before = live.get(Place(SERVICE, canary.namespace, name))
    return plain_manifest(SERVICE, canary, name, spec, annotations, before)


def _route(canary: Canary, route: Route) -> Object:
    limit, repeated = time_limit(canary), retries(canary)
    targets = [
        {"virtualNodeRef": {"name": node, "namespace": None}, "virtualNodeARN": None, "weight": weight}
        for node, weight in route.targets.items()
    ]
    return {
        "name": route.name,
        "priority": route.priority,
        "httpRoute": {
            "match": {"prefix": path_prefix(canary), "headers": route.headers},
            "timeout": None if limit is None else _per_request(limit),
            "retryPolicy": repeated
            and {
                "maxRetries": repeated.attempts,
                "perRetryTimeout": _time(milliseconds(repeated.timeout)),
                "httpRetryEvents": repeated.events,
            },
            "action": {"weightedTargets": targets},
        },
    }


def _per_request(limit: int) -> Object:
    return {"perRequest": _time(limit)}


def _time(length: int) -> Object:
    return {"unit": "ms", "value": length}
