"""What is peculiar to the routes of SMI, App Mesh and Kuma."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from flagger.kube.objects import SERVICE, Kind, Object, annotations_of
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import Live, Place, RouteError, Router
from flagger.routing.providers.app_mesh import v1beta1, v1beta2
from flagger.routing.providers.kuma import TRAFFIC_ROUTE
from flagger.routing.sync import Routes
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket, needed
from tests.routing.goldens import add_all, router_of

TRAFFIC_SPLIT = Kind("split.smi-spec.io", "v1alpha3", "TrafficSplit", "trafficsplits")
AB = {"iterations": 2, "match": [{"headers": {"x-beta": {"exact": "yes"}}}]}
MESHES = ["appmesh", "appmesh:v1beta2"]
Edit = Callable[[Object], None]


async def prepared(
    lab: Lab, provider: str, split: Split | None = None, **canary: Any
) -> tuple[Routes, Router]:
    """A router with all that it needs, and its objects if there is a split."""
    router, routes = router_of(provider, {}), Routes(lab.cluster)
    await add_all(lab, needed(provider, router))
    if split is not None:
        await routes.reconcile(basket(provider, **canary), router, split)
    return routes, router


async def edited(lab: Lab, kind: Kind, name: str, edit: Edit) -> Object:
    """Change the spec of an object as a user would; returns what it was."""
    before = (await lab.get(kind, name))["spec"]
    after = (await lab.get(kind, name))["spec"]
    edit(after)
    await lab.change(kind, {"spec": after}, name)
    return before


# App Mesh


@pytest.mark.parametrize("provider", MESHES)
@pytest.mark.parametrize("split", [HOME, AWAY], ids=str)
@pytest.mark.parametrize(
    ("match", "field"),
    [
        pytest.param([{"queryParams": {"q": {"exact": "1"}}}], r"match\[0\]", id="query parameters"),
        pytest.param([*AB["match"], {"sourceLabels": {"app": "web"}}], r"match\[1\]", id="clients"),
        pytest.param([{**AB["match"][0], "queryParams": {"q": {"exact": "1"}}}], r"match\[0\]", id="both"),
        pytest.param([{}], r"match\[0\]", id="nothing"),
    ],
)
def test_an_ab_test_that_cannot_be_expressed(
    provider: str, split: Split, match: list[Object], field: str
) -> None:
    """It is refused at every stage, before traffic moves: nobody else may be sent to the canary."""
    router, canary = router_of(provider, {}), basket(provider, analysis={"iterations": 2, "match": match})

    with pytest.raises(
        RouteError, match=rf"spec\.analysis\.{field} of basket\.shop: .*by headers only; name"
    ):
        router.desired(canary, split, needed(provider, router))


def test_the_mesh_is_not_named() -> None:
    """v1beta1 needs a mesh; the message names the field, and nothing is made."""
    canary = basket("appmesh", service={"port": 80})

    with pytest.raises(RouteError, match=r"spec\.service\.meshName of basket\.shop is empty: name the mesh"):
        router_of("appmesh", {}).desired(canary, HOME, {})


def test_the_pods_are_not_known() -> None:
    """v1beta2 selects the pods of the Services; the message says which one is missing."""
    with pytest.raises(
        RouteError, match=r"Service basket-primary\.shop not found: VirtualNode basket-primary selects"
    ):
        router_of("appmesh:v1beta2", {}).desired(basket("appmesh:v1beta2"), HOME, {})


def test_pods_are_selected_by_their_own_label() -> None:
    """Whatever the target is called, its node has the pods that its Service has."""
    router = router_of("appmesh:v1beta2", {})
    selectors = {"basket-primary": {"tier": "front-primary"}, "basket-canary": {"tier": "front"}}
    live = {Place(SERVICE, SHOP, name): {"spec": {"selector": pods}} for name, pods in selectors.items()}

    nodes = [obj for obj in router.desired(basket(), HOME, live) if obj["kind"] == "VirtualNode"]

    assert {
        node["metadata"]["name"]: node["spec"]["podSelector"]["matchLabels"] for node in nodes
    } == selectors


@pytest.mark.parametrize(
    ("provider", "kind", "name", "http", "node"),
    [
        ("appmesh", v1beta1.SERVICE, "basket.shop", "http", lambda name: {"virtualNodeName": name}),
        (
            "appmesh:v1beta2",
            v1beta2.ROUTER,
            "basket",
            "httpRoute",
            lambda name: {"virtualNodeRef": {"name": name}},
        ),
    ],
    ids=MESHES,
)
async def test_weights_by_hand_are_kept_and_the_prefix_is_put_back(
    lab: Lab, provider: str, kind: Kind, name: str, http: str, node: Callable[[str], Object]
) -> None:
    """Somebody's weights are what is live, like any others; all else about the route is ours."""
    routes, router = await prepared(lab, provider, HOME)

    def by_hand(spec: Object) -> None:
        route = spec["routes"][0][http]
        route["match"]["prefix"] = "/theirs"
        sides = ("basket-canary", "basket-primary")
        route["action"]["weightedTargets"] = [{**node(side), "weight": 50} for side in sides]

    await edited(lab, kind, name, by_hand)
    live = await routes.split(basket(provider), router)
    await routes.reconcile(basket(provider), router, live)

    route = (await lab.get(kind, name))["spec"]["routes"][0][http]
    assert live == Split(50)
    assert route["match"] == {"prefix": "/"}
    assert [target["weight"] for target in route["action"]["weightedTargets"]] == [50, 50]


async def test_what_the_app_mesh_controller_fills_in_is_no_drift(lab: Lab) -> None:
    """Names in AWS and references to the mesh stay, and cost no write."""
    routes, router = await prepared(lab, "appmesh:v1beta2", Split(30))
    filled: Object = {"awsName": "basket_shop", "meshRef": {"name": "global", "uid": "1"}}
    for kind, name in (
        (v1beta2.NODE, "basket-canary"),
        (v1beta2.ROUTER, "basket"),
        (v1beta2.SERVICE, "basket"),
    ):
        await lab.change(kind, {"spec": filled}, name)
    lab.sent.clear()

    await routes.reconcile(basket("appmesh:v1beta2"), router, Split(30))
    assert lab.writes() == []

    await routes.reconcile(basket("appmesh:v1beta2"), router, Split(40))
    spec = (await lab.get(v1beta2.ROUTER, "basket"))["spec"]
    assert {name: spec[name] for name in filled} == filled


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (v1beta2.SERVICE, "basket"),
        (v1beta2.SERVICE, "basket-canary"),
        (v1beta2.ROUTER, "basket-canary"),
        (v1beta2.NODE, "basket-canary"),
    ],
    ids=lambda part: part if isinstance(part, str) else part.kind,
)
async def test_every_lost_object_is_made_again(lab: Lab, kind: Kind, name: str) -> None:
    """One at a time, and the split is none of its business."""
    routes, router = await prepared(lab, "appmesh:v1beta2", Split(30))
    before = (await lab.get(kind, name))["spec"]
    await lab.remove(kind, name)
    lab.sent.clear()

    await routes.reconcile(basket("appmesh:v1beta2"), router, Split(30))

    assert lab.writes() == [f"POST {kind.plural}"]
    assert (await lab.get(kind, name))["spec"] == before


FULL: Object = {
    "port": 80,
    "targetPort": 8080,
    "meshName": "global",
    "timeout": "5s",
    "hosts": ["a.test"],
    "backends": ["inventory.shop"],
    "match": [{"uri": {"prefix": "/api"}}],
    "gateways": ["mesh"],
    "retries": {"attempts": 3, "perTryTimeout": "1s"},
}


@pytest.mark.parametrize("provider", [*MESHES, "kuma", "linkerd", "smi:v1alpha3:istio"])
@pytest.mark.parametrize(
    "less",
    [
        pytest.param({"hosts": []}, id="hosts"),
        pytest.param({"retries": None, "timeout": ""}, id="limits"),
        pytest.param({"backends": ["arn:aws:other"], "match": [], "gateways": []}, id="others"),
        pytest.param({"targetPort": 9090}, id="another port"),
    ],
)
async def test_what_is_taken_out_of_the_canary_leaves_the_routes(
    lab: Lab, provider: str, less: Object
) -> None:
    """Corrected objects are the same as those that are made anew."""
    routes, router = await prepared(lab, provider, Split(20), service=FULL)
    canary = basket(provider, service={**FULL, **less})
    places = [place for place in router.places(canary) if place.kind != SERVICE]

    await routes.reconcile(canary, router, Split(20))
    corrected = [await lab.get(place.kind, place.name) for place in places]
    for place in places:
        await lab.remove(place.kind, place.name)
    await routes.reconcile(canary, router, Split(20))

    for place, obj in zip(places, corrected, strict=True):
        fresh = await lab.get(place.kind, place.name)
        assert (obj["spec"], annotations_of(obj)) == (fresh["spec"], annotations_of(fresh))
    lab.sent.clear()
    await routes.reconcile(canary, router, Split(20))
    assert lab.writes() == []


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param([], id="no routes"),
        pytest.param([{"name": "x", "tcpRoute": {}}], id="not for HTTP"),
        pytest.param([{"name": "x", "httpRoute": {"action": {"weightedTargets": []}}}], id="no targets"),
        pytest.param(None, id="nothing at all"),
    ],
)
def test_a_router_without_both_sides_is_no_split(routes: list[Object] | None) -> None:
    """An ordinary error that names the object and both sides."""
    router = router_of("appmesh:v1beta2", {})
    live = {Place(v1beta2.ROUTER, SHOP, "basket"): {"spec": {"routes": routes}}}

    with pytest.raises(
        RouteError, match=r"VirtualRouter basket\.shop .*between basket-primary and basket-canary"
    ):
        router.split_of(basket("appmesh:v1beta2"), live)


@pytest.mark.parametrize("provider", MESHES)
async def test_pods_can_start_before_traffic_is_routed(lab: Lab, provider: str) -> None:
    """Only the nodes are made; one that is there already may be serving users, so it waits for the rest."""
    routes, router = await prepared(lab, provider)
    (node,) = router.early
    theirs: Object = {
        "metadata": {"name": "basket-primary", "namespace": SHOP},
        "spec": {"meshName": "theirs"},
    }
    await lab.add({**theirs, "kind": "VirtualNode"}, kinds=[node])
    stored = await lab.get(node, "basket-primary")

    await routes.precede(basket(provider), router)

    assert set(lab.writes()) == {f"POST {node.plural}"}
    assert await lab.get(node, "basket-primary") == stored
    lab.sent.clear()
    await routes.precede(basket(provider), router)
    assert lab.writes() == []


# SMI


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        pytest.param(["500m", "1.5"], Split(25), id="quantities"),
        pytest.param([1, 3], Split(25), id="shares of something else"),
        pytest.param(["0", "0"], HOME, id="nobody"),
    ],
)
def test_weights_are_shares(weights: list[Any], found: Split) -> None:
    """Whoever wrote them: a split always adds up to 100."""
    router = router_of("linkerd", {})
    names = ("basket-canary", "basket-primary")
    backends = [{"service": name, "weight": weight} for name, weight in zip(names, weights, strict=True)]
    (place,) = router.places(basket("linkerd"))

    assert router.split_of(basket("linkerd"), {place: {"spec": {"backends": backends}}}) == found


@pytest.mark.parametrize(
    "backends",
    [
        pytest.param([("basket-primary", 70), ("basket-canary", 30)], id="the other way round"),
        pytest.param([("basket-canary", 30), ("basket-primary", 70), ("theirs", 5)], id="one more"),
    ],
)
async def test_backends_are_put_in_order_at_the_live_split(lab: Lab, backends: list[tuple[str, int]]) -> None:
    """The canary first, then the primary, and nobody else; matches of others stay."""
    routes, router = await prepared(lab, "smi:v1alpha3", Split(30))
    matches = [{"kind": "HTTPRouteGroup", "name": "insiders"}]
    foreign = {
        "backends": [{"service": name, "weight": weight} for name, weight in backends],
        "matches": matches,
    }
    await lab.change(TRAFFIC_SPLIT, {"spec": foreign}, "basket")

    canary = basket("smi:v1alpha3")
    await routes.reconcile(canary, router, await routes.split(canary, router))

    spec = (await lab.get(TRAFFIC_SPLIT, "basket"))["spec"]
    assert spec["backends"] == [
        {"service": "basket-canary", "weight": 30},
        {"service": "basket-primary", "weight": 70},
    ]
    assert spec["matches"] == matches


# Kuma


async def test_half_and_half(lab: Lab) -> None:
    """The primary comes first, and the two are read back."""
    routes, router = await prepared(lab, "kuma", Split(50))

    (first, second) = (await lab.get(TRAFFIC_ROUTE, "basket"))["spec"]["conf"]["split"]

    assert (first["weight"], second["weight"]) == (50, 50)
    assert first["destination"] == {"kuma.io/service": "basket-primary_shop_svc_8080"}
    assert await routes.split(basket("kuma"), router) == Split(50)


async def test_other_settings_of_a_kuma_route_survive(lab: Lab) -> None:
    """A move changes weights and nothing else; the mesh is that of the beginning."""
    routes, router = await prepared(lab, "kuma", HOME)
    await lab.change(TRAFFIC_ROUTE, {"spec": {"conf": {"loadBalancer": {"roundRobin": {}}}}}, "basket")

    await routes.reconcile(basket("kuma", annotations={"kuma.io/mesh": "east"}), router, Split(10))

    route = await lab.get(TRAFFIC_ROUTE, "basket")
    assert route["spec"]["conf"]["loadBalancer"] == {"roundRobin": {}}
    assert route["mesh"] == "default"


async def test_another_port_keeps_the_split(lab: Lab) -> None:
    """A route of the old port still says how far the run is."""
    routes, router = await prepared(lab, "kuma", Split(30))
    moved = basket("kuma", service={"port": 81})

    await routes.reconcile(moved, router, await routes.split(moved, router))

    spec = (await lab.get(TRAFFIC_ROUTE, "basket"))["spec"]
    assert spec["destinations"] == [{"match": {"kuma.io/service": "basket_shop_svc_81"}}]
    assert [part["weight"] for part in spec["conf"]["split"]] == [70, 30]


async def test_a_kuma_route_of_another_namespace_is_left_alone(lab: Lab) -> None:
    """Two Canaries of one name would share a route: the second is told, the first notices nothing."""
    routes, router = await prepared(lab, "kuma", Split(30))
    before = await lab.get(TRAFFIC_ROUTE, "basket")
    twin = basket("kuma")
    twin = replace(twin, metadata=replace(twin.metadata, namespace="other"))

    with pytest.raises(
        RouteError, match=r"TrafficRoute basket is that of basket_shop_svc_8080.*other spec\.service\.name"
    ):
        await routes.reconcile(twin, router, HOME)
    with pytest.raises(RouteError, match=r"TrafficRoute basket doesn't divide the traffic between"):
        await routes.split(twin, router)
    await routes.hand_back(twin, router)

    assert await lab.get(TRAFFIC_ROUTE, "basket") == before


async def test_a_kuma_route_goes_with_its_canary(lab: Lab) -> None:
    """Nobody else would take it away: it has no owner."""
    routes, router = await prepared(lab, "kuma", Split(30))

    for _ in range(2):
        await routes.hand_back(basket("kuma"), router)

    assert await lab.cluster.get(TRAFFIC_ROUTE, None, "basket") is None


# What was there before


def theirs(kind: Kind, name: str, **body: Any) -> tuple[Place, Object]:
    """An object of a user."""
    namespace = {"namespace": SHOP} if kind.namespaced else {}
    metadata = {"name": name, **namespace, "annotations": {"theirs": "1"}, "labels": {"theirs": "2"}}
    return Place(kind, namespace.get("namespace", ""), name), {
        "kind": kind.kind,
        "metadata": metadata,
        **body,
    }


def tagged(name: str) -> Object:
    return {"kuma.io/service": f"{name}_shop_svc_8080"}


BEFORE = [
    (
        "smi:v1alpha3",
        theirs(
            TRAFFIC_SPLIT,
            "basket",
            spec={
                "service": "basket",
                "backends": [{"service": "old", "weight": 1}, {"service": "new", "weight": 0}],
            },
        ),
    ),
    (
        "kuma",
        theirs(
            TRAFFIC_ROUTE,
            "basket",
            mesh="default",
            spec={
                "sources": [{"match": {"kuma.io/service": "*"}}],
                "destinations": [{"match": tagged("basket")}],
                "conf": {"destination": tagged("basket")},
            },
        ),
    ),
    (
        "appmesh:v1beta2",
        theirs(
            v1beta2.SERVICE,
            "basket",
            spec={
                "awsName": "basket.shop",
                "provider": {"virtualNode": {"virtualNodeRef": {"name": "basket"}}},
            },
        ),
    ),
    (
        "appmesh",
        theirs(
            v1beta1.NODE,
            "basket",
            spec={
                "meshName": "global",
                "listeners": [{"portMapping": {"port": 8080, "protocol": "http"}}],
                "serviceDiscovery": {"dns": {"hostName": "basket.shop"}},
            },
        ),
    ),
]


@pytest.mark.parametrize(
    ("provider", "before"), BEFORE, ids=lambda part: part if isinstance(part, str) else ""
)
async def test_what_was_there_before_is_given_back(
    lab: Lab, provider: str, before: tuple[Place, Object]
) -> None:
    """Taken over with a note of how it was, through a whole run; in the end it is exactly that again."""
    (place, obj), (routes, router) = before, await prepared(lab, provider)
    stored = await lab.add(obj, kinds=[place.kind])
    canary = basket(provider)

    for split in (HOME, Split(10), AWAY, HOME):
        await routes.reconcile(canary, router, split)
        assert await routes.split(canary, router) == split
    taken = await lab.get(place.kind, place.name)
    assert taken["spec"] != stored["spec"]
    assert annotations_of(taken)["theirs"] == "1"
    assert "ownerReferences" not in taken["metadata"]
    await routes.hand_back(canary, router)

    after = await lab.get(place.kind, place.name)
    assert after["spec"] == stored["spec"]
    for part in ("annotations", "labels"):
        assert after["metadata"][part] == stored["metadata"][part]


async def test_a_split_that_was_ours_from_the_start_leads_home(lab: Lab) -> None:
    """A TrafficSplit that a user wrote for the Canary has no earlier form: it leads to the apex Service."""
    routes, router = await prepared(lab, "linkerd")
    names = ("basket-canary", "basket-primary")
    backends = [{"service": name, "weight": "1"} for name in names]
    _, obj = theirs(router.kinds[0], "basket", spec={"service": "basket", "backends": backends})
    await lab.add(obj, kinds=router.kinds)
    await routes.reconcile(basket("linkerd"), router, Split(30))

    await routes.hand_back(basket("linkerd"), router)

    spec = (await lab.get(router.kinds[0], "basket"))["spec"]
    assert spec["backends"] == [{"service": "basket", "weight": "100"}]


@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2", "linkerd"])
async def test_what_the_canary_owns_goes_by_itself(lab: Lab, provider: str) -> None:
    """Nothing is written: the garbage collector takes owned objects."""
    routes, router = await prepared(lab, provider, Split(30))
    lab.sent.clear()

    await routes.hand_back(basket(provider), router)

    assert lab.writes() == []
    assert await routes.split(basket(provider), router) == Split(30)


def test_nothing_is_given_back_where_nothing_is() -> None:
    """Deleting a Canary that never got as far as a route is no error."""
    nothing: Live = {}

    for provider in ("appmesh", "appmesh:v1beta2", "kuma", "linkerd"):
        assert router_of(provider, {}).handed_back(basket(provider), nothing) == {}
