"""Snapshots of objects that exist only in a test."""

from ipaddress import IPv4Network
from typing import Any

from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, POD, SECRET, SERVICE, Kind, Object
from flagger.sandbox.dataplane.kinds import GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, REFERENCE_GRANT
from flagger.sandbox.dataplane.routes import HttpListener
from flagger.sandbox.dataplane.snapshot import Site, Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.gateway_api import GatewayApi
from tests.sandbox.dataplane.objects import a_gateway, a_service, meta

KINDS = (
    *(ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, POD, SECRET, SERVICE),
    *(GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, REFERENCE_GRANT),
)
CIDR = IPv4Network("127.96.0.0/16")
EDGE = "127.96.0.253"
RELEASE = (
    a_service("checkout", app="checkout-primary", clusterIP="127.96.1.1"),
    a_service("checkout-primary", clusterIP="127.96.1.2"),
    a_service("checkout-canary", app="checkout", clusterIP="127.96.1.3"),
)


def a_site(**changes: Any) -> Site:
    return Site(**({"cidr": CIDR, "gateway_addresses": {"shop/edge": EDGE}} | changes))


def a_snapshot(objects: dict[Kind, list[Object]], **site: Any) -> Snapshot:
    """All kinds are served; those not named have no objects."""
    return Snapshot(a_site(**site), {kind: objects.get(kind, []) for kind in KINDS})


def gateway_world(
    *routes: Object, gateway: Object | None = None, site: dict[str, Any] | None = None, **more: list[Object]
) -> Snapshot:
    """A released `checkout`, a Gateway `edge` and routes in namespace `shop`; `more` by kind (`Secret=`)."""
    objects = {
        SERVICE: list(RELEASE),
        NAMESPACE: [{"metadata": meta("shop", None, labels={"team": "pay"})}],
        GATEWAY: [gateway or a_gateway()],
        HTTP_ROUTE: list(routes),
    }
    by_name = {kind.kind: kind for kind in KINDS}
    for name, found in more.items():
        objects[by_name[name]] = objects.get(by_name[name], []) + found
    return a_snapshot(objects, **(site or {}))


def translated(*routes: Object, **world: Any) -> Contribution:
    return GatewayApi().translate(gateway_world(*routes, **world))


def http_listener(found: Contribution, name: str = "gateway_shop_edge_80") -> HttpListener:
    listener = next(listener for listener in found.listeners if listener.name == name)
    assert isinstance(listener, HttpListener)
    return listener


def status_of(found: Contribution, kind: Kind, name: str) -> Object:
    """What an object was told."""
    told = [r for r in found.reports if r.kind == kind and r.obj["metadata"]["name"] == name]
    assert len(told) == 1
    return told[0].status
