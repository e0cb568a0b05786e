"""Routes of the Gateway API that users wrote: their weights alone are moved."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flagger.api.canary import Canary
from flagger.api.names import USERS_WEIGHTS
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import HOME, Split
from flagger.routing.base import Live, Place, RouteError, Router
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from flagger.routing.table import router_of
from tests.fakes.cluster import ROUTE, SHOP, Lab
from tests.routing.examples import basket

VERSIONS = {"HTTPRoute": "v1", "GRPCRoute": "v1", "TCPRoute": "v1alpha2", "TLSRoute": "v1alpha3"}
GROUP = "gateway.networking.k8s.io"
EDGE = {"group": GROUP, "kind": "Gateway", "name": "edge"}


def a_canary(kind: str = "HTTPRoute", provider: str = "gatewayapi:v1") -> Canary:
    """A Canary whose route is its user's, and which names no Gateway."""
    ref = {"apiVersion": f"{GROUP}/{VERSIONS[kind]}", "kind": kind, "name": "theirs"}
    return basket(provider, service={"port": 8080, "routeRef": ref})


def router(canary: Canary) -> Router:
    found = router_of(canary, "istio")
    assert found is not None
    return found


def to(name: str, weight: int | None = None, **more: Any) -> Object:
    """A backend as the API server stores it."""
    return {
        "group": "",
        "kind": "Service",
        "name": name,
        **({} if weight is None else {"weight": weight}),
        **more,
    }


def theirs(*rules: Object, kind: str = "HTTPRoute", **metadata: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/{VERSIONS[kind]}",
        "kind": kind,
        "metadata": {"name": "theirs", "namespace": SHOP, **metadata},
        "spec": {"parentRefs": [EDGE], "rules": list(rules)},
    }


BOTH = {"backendRefs": [to("basket-primary", 1, port=8080), to("basket-canary", 0, port=8080)]}


def live(route: Object, kind: str = "HTTPRoute") -> Live:
    place = Place(Kind(GROUP, VERSIONS[kind], kind, f"{kind.lower()}s"), SHOP, "theirs")
    return {place: route}


def moved(route: Object, split: Split, kind: str = "HTTPRoute") -> Object:
    """The route as it is stored after a move."""
    canary = a_canary(kind)
    (wanted,) = router(canary).desired(canary, split, live(route, kind))
    return stored(overlay(route, wanted))


def stored(route: Object) -> Object:
    metadata = {key: value for key, value in route["metadata"].items() if (key, value) != ("annotations", {})}
    return {**route, "metadata": metadata}


def weights(route: Object) -> list[list[int | None]]:
    return [[entry.get("weight") for entry in rule["backendRefs"]] for rule in route["spec"]["rules"]]


@pytest.mark.parametrize("kind", VERSIONS)
def test_every_protocol(kind: str) -> None:
    """Weights move in all rules and ports that refer to both sides, and nowhere else."""
    second = {"backendRefs": [to("basket-canary", 0, port=9090), to("basket-primary", 9, port=9090)]}
    alone = {"backendRefs": [to("basket-primary", 1), to("legacy", 1)]}
    route = theirs(BOTH, second, alone, kind=kind)

    after = moved(route, Split(30), kind)

    assert weights(after) == [[70, 30], [30, 70], [1, 1]]
    assert router(a_canary(kind)).split_of(a_canary(kind), live(after, kind)) == Split(30)
    assert moved(after, HOME, kind) == route


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(to("basket-canary", 1, namespace="other"), id="namespace"),
        pytest.param(to("basket-canary", 1) | {"kind": "ServiceImport"}, id="kind"),
        pytest.param(to("basket-canary", 1) | {"group": "multicluster.x-k8s.io"}, id="group"),
    ],
)
def test_backends_that_only_sound_alike(other: Object) -> None:
    """They are not the canary, so the route can't be used, and the message says what belongs into it."""
    route = theirs({"backendRefs": [to("basket-primary", 1), other]})

    with pytest.raises(
        RouteError,
        match=r"HTTPRoute theirs\.shop has no list of destinations \(spec\.rules\.\*\.backendRefs\) with both "
        "basket-primary and basket-canary: write them into it",
    ):
        router(a_canary()).split_of(a_canary(), live(route))


@pytest.mark.parametrize(
    ("status", "observed"), [("False", 3), ("True", 2)], ids=["rejected", "not seen yet"]
)
def test_a_route_that_its_gateway_does_not_serve(status: str, observed: int) -> None:
    """A run waits for the Gateway, as with routes that are made for it."""
    condition = {"type": "Accepted", "status": status, "reason": "X", "observedGeneration": observed}
    parents = [{"parentRef": EDGE, "controllerName": "x/y", "conditions": [condition]}]
    route = {**theirs(BOTH, generation=3), "status": {"parents": parents}}

    with pytest.raises(RouteError, match=r"HTTPRoute theirs\.shop is not accepted by edge") as refused:
        router(a_canary()).split_of(a_canary(), live(route))

    assert refused.value.written == HOME


names = st.sampled_from(["basket-primary", "basket-canary", "basket", "legacy"])
filters = st.lists(
    st.sampled_from(
        [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"]}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": to("basket-canary", port=80)}},
            {"type": "ExtensionRef", "extensionRef": {"group": "x.y", "kind": "Z", "name": "weight"}},
        ]
    ),
    max_size=2,
)


def backends(which: SearchStrategy[str]) -> SearchStrategy[Object]:
    """Backends of some name, with or without weight, namespace and filters."""
    return st.builds(
        lambda name, weight, more: to(name, weight, **more),
        which,
        st.none() | st.integers(0, 1000),
        st.fixed_dictionaries(
            {"port": st.sampled_from([8080, 9090])},
            optional={"namespace": st.sampled_from([SHOP, "other"]), "filters": filters},
        ),
    )


rules = st.fixed_dictionaries(
    {"backendRefs": st.lists(backends(names), max_size=4)},
    optional={
        "name": st.just("weight"),
        "matches": st.just([{"path": {"type": "PathPrefix", "value": "/a"}, "headers": []}]),
        "filters": filters,
        "timeouts": st.just({"request": "10s"}),
    },
)


def sides(primary: Object, canary: Object, others: list[Object]) -> Object:
    """A rule with both sides of the Canary's own namespace, among others."""
    return {"backendRefs": [*others, primary | {"namespace": SHOP}, canary | {"namespace": SHOP}]}


http_routes = st.builds(
    lambda before, rule, after, labels: theirs(*before, rule, *after, **labels),
    st.lists(rules, max_size=2),
    st.builds(
        sides,
        backends(st.just("basket-primary")),
        backends(st.just("basket-canary")),
        st.lists(backends(names), max_size=2),
    ),
    st.lists(rules, max_size=2),
    st.sampled_from([{}, {"labels": {"a": "b"}, "annotations": {"weight": "theirs"}}]),
)


def without_weights(route: Object) -> Object:
    """The same without the weights of backends and without what is remembered of them."""
    plain = copy.deepcopy(route)
    for rule in plain["spec"]["rules"]:
        for entry in rule["backendRefs"]:
            entry.pop("weight", None)
    plain["metadata"].get("annotations", {}).pop(USERS_WEIGHTS, None)
    return stored(plain)


@given(http_routes, st.lists(st.integers(1, 100), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_route_keeps_all_but_the_weights(route: Object, course: list[int]) -> None:
    """Through a run of any course nothing but weights differs, and handed back nothing at all."""
    before, now = copy.deepcopy(route), route
    for weight in course:
        now = moved(now, Split(weight))
        assert without_weights(now) == without_weights(before)
        assert moved(now, Split(weight)) == now

    back = router(a_canary()).handed_back(a_canary(), live(now))

    assert route == before
    assert stored(next(iter(back.values()), now)) == before


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "gatewayapi:v1beta1"])
async def test_a_run_on_a_server(lab: Lab, provider: str) -> None:
    """One write a step, none when nothing differs, and in the end the object as its user wrote it."""
    canary = a_canary(provider=provider)
    before = await lab.client.create(ROUTE, theirs(BOTH, BOTH, annotations={"theirs": "1"}))
    routes = Routes(lab.cluster)

    for share in (HOME, Split(20), Split(50), Split(50), HOME):
        await routes.reconcile(canary, router(canary), share)
        assert await routes.split(canary, router(canary)) == share

    after = await lab.get(ROUTE, "theirs")
    assert lab.writes() == ["PATCH httproutes/theirs"] * 3
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], {"theirs": "1"})


async def test_a_route_that_is_not_there(lab: Lab) -> None:
    """The message names the route and the field that refers to it; no route is made in its place."""
    for act in (
        Routes(lab.cluster).split(a_canary(), router(a_canary())),
        Routes(lab.cluster).reconcile(a_canary(), router(a_canary()), HOME),
    ):
        with pytest.raises(RouteError, match=r"HTTPRoute theirs\.shop not found: spec\.service\.routeRefs"):
            await act
    assert lab.writes() == []


async def test_a_kind_that_is_not_installed(lab: Lab) -> None:
    """The message names the CRD that is missing."""
    canary = a_canary("TCPRoute")

    with pytest.raises(RouteError, match=r"TCPRoute theirs\.shop .*tcproutes\.gateway.* v1alpha2; install"):
        await Routes(lab.cluster).split(canary, router(canary))
