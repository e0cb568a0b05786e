"""Builders of valid objects; a test names only what it is about."""

from typing import Any

from flagger.kube.objects import Object

CREATED = "2026-01-01T00:00:00Z"


def meta(name: str, namespace: str | None = "shop", **more: Any) -> Object:
    found: Object = {"name": name, **more}
    return found if namespace is None else found | {"namespace": namespace}


def a_service(
    name: str = "checkout",
    *,
    app: str | None = "",
    port: int = 80,
    port_name: str = "http",
    target: int | str = 8080,
    **spec: Any,
) -> Object:
    """A Service for the pods labelled `app` (its own name if empty, no selector if None)."""
    selector = {} if app is None else {"selector": {"app": app or name}}
    ports = [{"name": port_name, "port": port, "targetPort": target, "protocol": "TCP"}]
    return {"metadata": meta(name), "spec": {"type": "ClusterIP", "ports": ports} | selector | spec}


def a_pod(
    name: str, address: str, *, app: str, ready: bool = True, ports: dict[str, int] | None = None
) -> Object:
    declared = [{"name": key, "containerPort": value} for key, value in (ports or {}).items()]
    return {
        "metadata": meta(name, labels={"app": app}),
        "spec": {"nodeName": "sandbox", "containers": [{"name": "app", "image": "app", "ports": declared}]},
        "status": pod_status(address, ready=ready),
    }


def pod_status(address: str, *, ready: bool = True) -> Object:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}


def a_gateway(name: str = "edge", *listeners: Object, namespace: str = "shop", **spec: Any) -> Object:
    found = list(listeners) or [a_listener()]
    body = {"gatewayClassName": "istio", "listeners": found} | spec
    return {"metadata": meta(name, namespace, generation=1), "spec": body}


def a_listener(name: str = "http", port: int = 80, protocol: str = "HTTP", **more: Any) -> Object:
    allowed = {"allowedRoutes": {"namespaces": {"from": "Same"}}}
    return {"name": name, "port": port, "protocol": protocol} | allowed | more


def a_route(name: str = "checkout", *rules: Object, **spec: Any) -> Object:
    """An HTTPRoute at Gateway `edge`, in the form in which the API server stores it."""
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
    body = {"parentRefs": [parent], "rules": list(rules) or [a_rule()]} | spec
    return {"metadata": meta(name, generation=1, creationTimestamp=CREATED), "spec": body}


def a_rule(*backends: Object, path: str = "/", **more: Any) -> Object:
    matches = [{"path": {"type": "PathPrefix", "value": path}}]
    return {"matches": matches, "backendRefs": list(backends) or split(100, 0)} | more


def split(primary: int, canary: int) -> list[Object]:
    return [a_backend("checkout-primary", primary), a_backend("checkout-canary", canary)]


def a_backend(name: str, weight: int = 1, **more: Any) -> Object:
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight} | more


def mesh_parent(name: str = "checkout") -> Object:
    return {"group": "", "kind": "Service", "name": name, "port": 80}
