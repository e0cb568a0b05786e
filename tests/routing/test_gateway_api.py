"""What is peculiar to HTTPRoutes."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import HOME, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from flagger.routing.table import router_for
from tests.fakes.cluster import ROUTE, Lab, a_lab, the_definitions
from tests.routing.examples import basket, split
from tests.routing.test_golden import CASES

V1 = router_for("gatewayapi:v1")
EDGE = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}


def service(**fields: Any) -> Object:
    return {"port": 8080, "gatewayRefs": [{"name": "edge"}], **fields}


def a_route(canary: Canary) -> Object:
    """The stored route of a Canary, at 70/30 and generation 2."""
    (desired,) = V1.desired(canary, Split(30), {})
    route = overlay(None, desired)
    return {**route, "metadata": {**route["metadata"], "generation": 2}}


def live_route(route: Object, version: str = "v1") -> Live:
    """The objects of a router whose only one is this route."""
    kind = Kind("gateway.networking.k8s.io", version, "HTTPRoute", "httproutes")
    return {Place(kind, "shop", "basket"): route}


def reported(*conditions: Object, parent: Object = EDGE) -> Object:
    """The status of a route, as a Gateway's controller writes it."""
    return {"parents": [{"parentRef": parent, "controllerName": "x/y", "conditions": list(conditions)}]}


def accepted(status: str, generation: int) -> Object:
    return {"type": "Accepted", "status": status, "reason": "Because", "observedGeneration": generation}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="nobody has looked at it"),
        pytest.param(reported(accepted("True", 2)), id="accepted"),
        pytest.param(reported({"type": "ResolvedRefs", "status": "False"}), id="another condition"),
        pytest.param(
            reported(accepted("False", 2), parent={**EDGE, "sectionName": "x"}), id="another listener"
        ),
        pytest.param(reported(accepted("False", 2), parent={**EDGE, "name": "other"}), id="another Gateway"),
    ],
)
def test_an_accepted_route_is_read(status: Object) -> None:
    """Only what the route's own parents say of it counts."""
    route = {**a_route(basket()), "status": status}

    assert V1.split_of(basket(), live_route(route)) == Split(30)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        pytest.param(
            accepted("False", 2),
            r"HTTPRoute basket\.shop is not accepted by edge: Accepted=False Because at generation 2",
            id="rejected",
        ),
        pytest.param(accepted("Unknown", 2), "Accepted=Unknown", id="undecided"),
        pytest.param(accepted("True", 1), "at generation 1, the route is at 2", id="not seen yet"),
    ],
)
def test_a_route_that_is_not_accepted(condition: Object, message: str) -> None:
    """A run doesn't go on before the Gateway has taken over its last step; the error says who and why."""
    route = {**a_route(basket()), "status": reported(condition)}

    with pytest.raises(RouteError, match=message) as refused:
        V1.split_of(basket(), live_route(route))

    assert refused.value.written == Split(30)
    older = router_for("gatewayapi:v1beta1")
    assert older.split_of(basket(), live_route(route, "v1beta1")) == Split(30)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        pytest.param((1, 1), Split(50), id="not in percent"),
        pytest.param((None, None), Split(50), id="weights left out are 1"),
        pytest.param((0, 0), HOME, id="nobody gets anything"),
        pytest.param((0, 7), Split(100), id="all to the canary"),
    ],
)
def test_weights_of_others(weights: tuple[int | None, int | None], found: Split) -> None:
    """Weights are shares, whoever wrote them."""
    route = a_route(basket())
    for backend, weight in zip(route["spec"]["rules"][0]["backendRefs"], weights, strict=True):
        backend.pop("weight")
        if weight is not None:
            backend["weight"] = weight

    assert V1.split_of(basket(), live_route(route)) == found


def test_a_route_without_both_sides() -> None:
    """A damaged route is no split of 100/0."""
    route = a_route(basket())
    route["spec"]["rules"][0]["backendRefs"].pop()

    with pytest.raises(RouteError, match="no rule with the backends basket-primary and basket-canary"):
        V1.split_of(basket(), live_route(route))


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        pytest.param(
            basket(service={"port": 80}), r"spec\.service\.gatewayRefs of basket\.shop is empty", id="parents"
        ),
        pytest.param(
            basket(service=service(match=[{"uri": {}}])), r"spec\.service\.match\.uri is empty", id="path"
        ),
        pytest.param(
            basket(service=service(match=[{"method": {"regex": "P.*"}}])),
            r"match\.method: .*use exact",
            id="method",
        ),
        pytest.param(
            basket(service=service(match=[{"headers": {"x": {"prefix": "a"}}}])),
            r"spec\.service\.match\.headers\.x: .*use exact or regex",
            id="header",
        ),
        pytest.param(
            basket(service=service(match=[{"queryParams": {"q": {"prefix": "a"}}}])),
            r"spec\.service\.match\.queryParams\.q",
            id="query parameter",
        ),
        pytest.param(
            basket(analysis={"iterations": 2, "match": [{"headers": {"x": {"suffix": "a"}}}]}),
            r"spec\.analysis\.match\.headers\.x",
            id="A/B header",
        ),
        pytest.param(
            basket(analysis={"iterations": 2, "match": [{"sourceLabels": {"app": "web"}}]}),
            r"spec\.analysis\.match: .*headers and queryParams only",
            id="A/B by source",
        ),
    ],
)
def test_what_a_route_cannot_hold_is_refused(canary: Canary, message: str) -> None:
    """The field is named; nobody is sent to the canary by a condition that was left out."""
    with pytest.raises(RouteError, match=message):
        V1.desired(canary, Split(10), {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_golden_routes_are_valid_and_stay(lab: Lab, case: dict[str, Any]) -> None:
    """The CRD takes every golden route, and what it fills in by itself causes no further write."""
    version = case.get("version", "v1")
    canary = basket(f"gatewayapi:{version}", service=case["service"], analysis=case.get("analysis"))
    routes, router = Routes(lab.cluster), router_for(f"gatewayapi:{version}")

    for _ in range(2):
        await routes.reconcile(canary, router, split(case["split"]))

    assert lab.writes() == ["POST httproutes"]
    assert await routes.split(canary, router) == split(case["split"])


async def test_fields_of_others_survive(lab: Lab) -> None:
    """What we know nothing of stays in the route and in its rules, whatever the weights do."""
    routes = Routes(lab.cluster)
    await routes.reconcile(basket(), V1, HOME)
    (rule,) = (await lab.get(ROUTE, "basket"))["spec"]["rules"]
    theirs = {"name": "main", "retry": {"attempts": 2}}
    await lab.change(ROUTE, {"spec": {"rules": [{**rule, **theirs}]}}, "basket")

    await routes.reconcile(basket(), V1, Split(10))

    (rule,) = (await lab.get(ROUTE, "basket"))["spec"]["rules"]
    assert {name: rule[name] for name in theirs} == theirs
    assert [backend["weight"] for backend in rule["backendRefs"]] == [90, 10]


FULL = service(
    match=[{"uri": {"prefix": "/a"}, "method": {"exact": "GET"}, "headers": {"x": {"exact": "1"}}}],
    headers={"request": {"add": {"x-a": "1"}, "set": {"x-s": "s"}}},
    rewrite={"uri": "/b", "authority": "inner.test", "type": "ReplacePrefixMatch"},
    timeout="10s",
    backendTimeout="5s",
    hosts=["a.test"],
)


@pytest.mark.parametrize(
    "less",
    [
        pytest.param(FULL | {"match": [{"uri": {"prefix": "/a"}}]}, id="conditions"),
        pytest.param(FULL | {"headers": {"request": {"set": {"x-s": "s"}}}}, id="a header change"),
        pytest.param(FULL | {"headers": {"response": {"remove": ["x-r"]}}}, id="another type of filter"),
        pytest.param(FULL | {"rewrite": {"uri": "/c"}}, id="another rewrite"),
        pytest.param(FULL | {"headers": None}, id="a filter"),
        pytest.param(FULL | {"timeout": ""}, id="a time limit"),
        pytest.param(FULL | {"hosts": []}, id="host names"),
        pytest.param(service(), id="everything"),
    ],
)
async def test_what_is_taken_out_of_the_canary_leaves_the_route(lab: Lab, less: Object) -> None:
    """A corrected route is the same as one that is made anew."""
    routes = Routes(lab.cluster)
    await routes.reconcile(basket(service=FULL), V1, Split(20))

    await routes.reconcile(basket(service=less), V1, Split(20))
    corrected = (await lab.get(ROUTE, "basket"))["spec"]
    await lab.remove(ROUTE, "basket")
    await routes.reconcile(basket(service=less), V1, Split(20))

    assert corrected == (await lab.get(ROUTE, "basket"))["spec"]


async def test_an_ab_test_may_begin_and_end(lab: Lab) -> None:
    """A second rule appears and goes again; the live split is kept."""
    routes = Routes(lab.cluster)
    tested = basket(analysis={"iterations": 2, "match": [{"headers": {"x": {"exact": "1"}}}]})

    for canary, rules in ((basket(), 1), (tested, 2), (basket(), 1)):
        await routes.reconcile(canary, V1, Split(40))
        assert len((await lab.get(ROUTE, "basket"))["spec"]["rules"]) == rules
        assert await routes.split(canary, V1) == Split(40)


async def test_a_cluster_without_gateway_api() -> None:
    """The message says which kind is missing and what to do."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    async with a_lab(ours) as lab:
        for act in (
            Routes(lab.cluster).split(basket(), V1),
            Routes(lab.cluster).reconcile(basket(), V1, HOME),
        ):
            with pytest.raises(
                RouteError, match=r"HTTPRoute basket\.shop .*doesn't serve httproutes.*install its CRD"
            ):
                await act
