"""HTTPProxies of users, whose weights are moved where they are."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import Place, RouteError, Router
from flagger.routing.overlay import overlay
from flagger.routing.providers.contour.router import HTTP_PROXY
from flagger.routing.sync import Routes
from flagger.routing.table import router_of
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket

REF = {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "name": "theirs"}
CANARY: Canary = basket("contour", service={"port": 80, "routeRefs": [REF]})
PLACE = Place(HTTP_PROXY, SHOP, "theirs")


def router() -> Router:
    found = router_of(CANARY, "contour")
    assert found is not None
    return found


def to(name: str, weight: int | None = None, **more: Any) -> Object:
    """A Service of a route."""
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **more}


def theirs(*routes: list[Object]) -> Object:
    """An HTTPProxy that a user wrote, with a route for each list of Services."""
    found = [
        {"conditions": [{"prefix": f"/{index}"}], "timeoutPolicy": {"response": "5s"}, "services": services}
        for index, services in enumerate(routes)
    ]
    spec = {"virtualhost": {"fqdn": "basket.example.test"}, "routes": found}
    return {"kind": "HTTPProxy", "metadata": {"name": "theirs", "namespace": SHOP}, "spec": spec}


def weights(proxy: Object) -> list[list[int | None]]:
    return [[service.get("weight") for service in route["services"]] for route in proxy["spec"]["routes"]]


PRIMARY, CANDIDATE = "basket-primary", "basket-canary"


@pytest.mark.parametrize(
    ("services", "split", "expected"),
    [
        pytest.param([to(PRIMARY, 100), to(CANDIDATE)], Split(30), [70, 30], id="in percent"),
        pytest.param([to(PRIMARY, 1), to(CANDIDATE, 0)], AWAY, [0, 100], id="in other units"),
        pytest.param([to(PRIMARY, 1), to(CANDIDATE)], HOME, [1, None], id="home already"),
        pytest.param([to(PRIMARY), to(CANDIDATE)], HOME, [100, 0], id="without weights shares are even"),
        pytest.param([to(PRIMARY, 0), to(CANDIDATE, 0)], HOME, [100, 0], id="with none but 0 too"),
        pytest.param(
            [to("legacy", 20), to(PRIMARY, 80), to(CANDIDATE)], Split(25), [20, 60, 20], id="beside another"
        ),
        pytest.param(
            [to(CANDIDATE, mirror=True), to(PRIMARY, 10), to(CANDIDATE)],
            Split(10),
            [None, 90, 10],
            id="copies",
        ),
    ],
)
def test_both_sides_share_what_they_have(services: list[Object], split: Split, expected: list[Any]) -> None:
    """The two weights in every route that names both sides, whatever units the user chose."""
    proxy = theirs([to("legacy")], services)

    (wanted,) = router().desired(CANARY, split, {PLACE: proxy})
    after = overlay(proxy, wanted)

    assert weights(after) == [[None], expected]
    assert router().split_of(CANARY, {PLACE: after}) == split


async def test_a_run_on_a_server(lab: Lab) -> None:
    """One write a step, none when nothing differs, and the object as before in the end."""
    both = [to(PRIMARY, 100), to(CANDIDATE)]
    before = await lab.add(theirs([to("legacy")], both, both), kinds=[HTTP_PROXY])
    routes = Routes(lab.cluster)
    await routes.reconcile(CANARY, router(), HOME)
    assert lab.writes() == []

    for split in (Split(20), Split(50), Split(50), HOME):
        await routes.reconcile(CANARY, router(), split)
        assert await routes.split(CANARY, router()) == split

    after = await lab.get(HTTP_PROXY, "theirs")
    assert lab.writes() == ["PATCH httpproxies/theirs"] * 3
    for obj in (before, after):
        for varying in ("resourceVersion", "generation", "managedFields"):
            obj["metadata"].pop(varying, None)
    assert after == before


async def test_handing_back_in_mid_run(lab: Lab) -> None:
    """A Canary that is deleted leaves its user's weights behind."""
    proxy = theirs([to(PRIMARY), to(CANDIDATE)])
    await lab.add(proxy, kinds=[HTTP_PROXY])
    routes = Routes(lab.cluster)
    await routes.reconcile(CANARY, router(), Split(20))

    await routes.hand_back(CANARY, router())

    assert (await lab.get(HTTP_PROXY, "theirs"))["spec"] == proxy["spec"]


async def test_a_proxy_without_both_sides(lab: Lab) -> None:
    """The message says which object, which field and what to do; nothing is written."""
    await lab.add(theirs([to(PRIMARY), to(CANDIDATE, mirror=True)]), kinds=[HTTP_PROXY])

    with pytest.raises(
        RouteError,
        match=r"HTTPProxy theirs\.shop has no list .*\(spec\.routes\.\*\.services\) with both basket-primary and",
    ):
        await Routes(lab.cluster).reconcile(CANARY, router(), HOME)

    assert lab.writes() == []
