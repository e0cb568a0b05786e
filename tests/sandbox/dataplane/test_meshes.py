"""How SMI, App Mesh and Kuma objects are read, in the corners that golden files leave."""

from typing import Any

import pytest

from flagger.kube.objects import SERVICE, Kind, Object
from flagger.sandbox.dataplane.kinds import (
    APP_MESH_SERVICE,
    HTTP_ROUTE_GROUP,
    TRAFFIC_ROUTE,
    TRAFFIC_SPLIT,
    VIRTUAL_NODE,
    VIRTUAL_ROUTER,
)
from flagger.sandbox.dataplane.plan import plan_for
from flagger.sandbox.dataplane.routes import (
    MISSING_CLUSTER,
    Forward,
    HttpListener,
    MatchKind,
    PathMatch,
    Rule,
)
from flagger.sandbox.dataplane.translators.mesh import begins_with, service_called
from tests.sandbox.dataplane.objects import meta
from tests.sandbox.dataplane.snapshots import RELEASE, a_snapshot

APEX, PRIMARY, CANARY = "shop_checkout_80", "shop_checkout-primary_80", "shop_checkout-canary_80"
BAD = "(unclosed"
Objects = dict[Kind, list[Object]]


def rules(objects: Objects) -> tuple[Rule, ...]:
    """What the apex Service of a release does with requests."""
    plan = plan_for(a_snapshot({SERVICE: list(RELEASE), **objects})).plan
    listener = next(each for each in plan.listeners if each.name == "service_shop_checkout_80")
    assert isinstance(listener, HttpListener)
    (host,) = listener.hosts
    return host.rules


def leads_to(rule: Rule) -> dict[str, int]:
    assert isinstance(rule.action, Forward)
    return {target.cluster: target.weight for target in rule.action.targets}


def a_split(*, namespace: str = "shop", service: str = "checkout", **spec: Any) -> Object:
    backends = [{"service": "checkout-canary", "weight": 100}]
    return {
        "metadata": meta("checkout", namespace),
        "spec": {"service": service, "backends": backends, **spec},
    }


def a_group(**match: Any) -> Object:
    return {"metadata": meta("insiders"), "spec": {"matches": [{"name": "a", **match}]}}


def a_node(name: str, host: str, port: int = 80) -> Object:
    listeners = [{"portMapping": {"port": port, "protocol": "http"}}]
    discovery = {"serviceDiscovery": {"dns": {"hostname": host}}}
    return {"metadata": meta(name), "spec": {"listeners": listeners, **discovery}}


def a_virtual_service(**provider: Any) -> Object:
    return {"metadata": meta("checkout"), "spec": {"provider": provider}}


def a_router(target: str = "checkout-canary", port: int = 80, **http: Any) -> Object:
    action = {"weightedTargets": [{"virtualNodeRef": {"name": target}, "weight": 1}]}
    routes = [{"name": "all", "httpRoute": {"match": {"prefix": "/"}, "action": action, **http}}]
    listeners = [{"portMapping": {"port": port, "protocol": "http"}}]
    return {"metadata": meta("checkout"), "spec": {"listeners": listeners, "routes": routes}}


def a_traffic_route(*, source: str = "*", destination: str = "checkout_shop_svc_80", **conf: Any) -> Object:
    return {
        "metadata": {"name": "checkout"},
        "spec": {
            "sources": [{"match": {"kuma.io/service": source}}],
            "destinations": [{"match": {"kuma.io/service": destination}}],
            "conf": conf or {"destination": {"kuma.io/service": "checkout-canary_shop_svc_80"}},
        },
    }


TO_ROUTER = a_virtual_service(virtualRouter={"virtualRouterRef": {"name": "checkout"}})
CANARY_NODE = a_node("checkout-canary", "checkout-canary.shop")
REGEX_HEADER = {"name": "x", "match": {"regex": BAD}}


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param({TRAFFIC_SPLIT: [a_split(namespace="other")]}, id="a split elsewhere"),
        pytest.param(
            {TRAFFIC_SPLIT: [a_split(service="checkout.example.com")]}, id="a name that is no Service's"
        ),
        pytest.param(
            {
                TRAFFIC_SPLIT: [a_split(matches=[{"kind": "HTTPRouteGroup", "name": "insiders"}])],
                HTTP_ROUTE_GROUP: [a_group(pathRegex=BAD)],
            },
            id="a group with a bad expression",
        ),
        pytest.param({TRAFFIC_ROUTE: [a_traffic_route(source="web_shop_svc_80")]}, id="for some clients"),
        pytest.param(
            {TRAFFIC_ROUTE: [a_traffic_route(destination="checkout_shop_svc_81")]}, id="another port"
        ),
        pytest.param({TRAFFIC_ROUTE: [a_traffic_route(destination="*")]}, id="every Service"),
        pytest.param(
            {TRAFFIC_ROUTE: [a_traffic_route(http=[{"match": {"path": {"regex": BAD}}, "destination": {}}])]},
            id="a Kuma route with a bad expression",
        ),
        pytest.param({APP_MESH_SERVICE: [TO_ROUTER]}, id="no router"),
        pytest.param(
            {APP_MESH_SERVICE: [TO_ROUTER], VIRTUAL_ROUTER: [a_router(port=81)]}, id="a router's port"
        ),
        pytest.param(
            {
                APP_MESH_SERVICE: [TO_ROUTER],
                VIRTUAL_ROUTER: [a_router(match={"headers": [REGEX_HEADER]})],
            },
            id="a router with a bad expression",
        ),
        pytest.param(
            {APP_MESH_SERVICE: [a_virtual_service(virtualNode={"virtualNodeRef": {"name": "nobody"}})]},
            id="no node",
        ),
        pytest.param({APP_MESH_SERVICE: [a_virtual_service()]}, id="no provider"),
    ],
)
def test_what_cannot_be_served_leaves_a_service_as_it_is(objects: Objects) -> None:
    """Requests go to the Service's own pods, as without a mesh."""
    (rule,) = rules(objects)

    assert leads_to(rule) == {APEX: 1}


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        pytest.param({TRAFFIC_SPLIT: [a_split()]}, {CANARY: 100}, id="a split"),
        pytest.param(
            {TRAFFIC_SPLIT: [a_split(backends=[{"service": "nobody", "weight": 1}])]},
            {MISSING_CLUSTER: 1},
            id="a backend that isn't there",
        ),
        pytest.param({TRAFFIC_ROUTE: [a_traffic_route()]}, {CANARY: 1}, id="a destination as a whole"),
        pytest.param(
            {
                TRAFFIC_ROUTE: [
                    a_traffic_route(split=[{"weight": 1, "destination": {"kuma.io/service": "x"}}])
                ]
            },
            {MISSING_CLUSTER: 1},
            id="a destination of another form",
        ),
        pytest.param(
            {APP_MESH_SERVICE: [TO_ROUTER], VIRTUAL_ROUTER: [a_router()], VIRTUAL_NODE: [CANARY_NODE]},
            {CANARY: 1},
            id="a router",
        ),
        pytest.param(
            {APP_MESH_SERVICE: [TO_ROUTER], VIRTUAL_ROUTER: [a_router()]},
            {MISSING_CLUSTER: 1},
            id="no such node",
        ),
        pytest.param(
            {
                APP_MESH_SERVICE: [
                    a_virtual_service(virtualNode={"virtualNodeRef": {"name": "checkout-canary"}})
                ],
                VIRTUAL_NODE: [CANARY_NODE],
            },
            {CANARY: 1},
            id="a node without a router",
        ),
        pytest.param(
            {
                APP_MESH_SERVICE: [TO_ROUTER],
                VIRTUAL_ROUTER: [a_router(port=8080)],
                VIRTUAL_NODE: [a_node("checkout-canary", "checkout-canary.shop.svc.cluster.local.", 8080)],
            },
            {CANARY: 1},
            id="the pods' port",
        ),
    ],
)
def test_who_answers(objects: Objects, found: dict[str, int]) -> None:
    """The pods behind what a route names; nobody, with 500, where that isn't there."""
    (rule,) = rules(objects)

    assert leads_to(rule) == found


def test_all_methods_of_a_group() -> None:
    """`*` is no condition, and requests that match nothing stay with the Service."""
    matches = [{"kind": "HTTPRouteGroup", "name": "insiders"}, {"kind": "HTTPRouteGroup", "name": "nobody"}]
    first, last = rules(
        {TRAFFIC_SPLIT: [a_split(matches=matches)], HTTP_ROUTE_GROUP: [a_group(methods=["*", "GET"])]}
    )

    assert (first.match.method, leads_to(first)) == ("", {CANARY: 100})
    assert leads_to(last) == {APEX: 1}


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("checkout", True),
        ("checkout.shop", True),
        ("checkout.shop.svc", True),
        ("checkout.shop.svc.cluster.local", True),
        ("checkout.shop.svc.cluster.local.", True),
        ("checkout.other", False),
        ("checkout.shop.example.com", False),
        ("nobody", False),
    ],
)
def test_names_of_services(host: str, found: bool) -> None:
    """As a cluster's DNS has them."""
    service = service_called(host, "shop", a_snapshot({SERVICE: list(RELEASE)}))

    assert (service is RELEASE[0]) == found


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", PathMatch()),
        ("/", PathMatch()),
        ("/a.b", PathMatch(MatchKind.REGEX, r"/a\.b.*")),
    ],
)
def test_prefixes_of_meshes_are_texts(prefix: str, path: PathMatch) -> None:
    """`/a` matches `/ab` there, unlike in the Gateway API."""
    assert begins_with(prefix) == path
