"""What is peculiar to the objects of Contour, Gloo and ingress-nginx."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.kube.objects import INGRESS, Object, annotations_of
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import Router
from flagger.routing.providers.contour.router import HTTP_PROXY
from flagger.routing.providers.gloo.router import ROUTE_TABLE
from flagger.routing.providers.gloo.upstreams import UPSTREAM
from flagger.routing.sync import Routes
from tests.fakes.cluster import Lab
from tests.routing.examples import basket, needed
from tests.routing.goldens import add_all, router_of

PREFIX = "nginx.ingress.kubernetes.io"
AB = {"iterations": 2, "match": [{"headers": {"x-beta": {"exact": "yes"}}}]}


async def prepared(lab: Lab, provider: str) -> tuple[Routes, Router]:
    router = router_of(provider, {})
    await add_all(lab, needed(provider, router))
    return Routes(lab.cluster), router


@pytest.mark.parametrize(("provider", "at"), [("contour", Split(40)), ("gloo", Split(40)), ("nginx", AWAY)])
async def test_an_ab_test_may_begin_and_end(lab: Lab, provider: str, at: Split) -> None:
    """Conditions come and go while the traffic is split; nothing of them is left behind."""
    routes, router = await prepared(lab, provider)
    plain, tested = basket(provider), basket(provider, analysis=AB)
    await routes.reconcile(plain, router, at)
    before = await main_object(lab, router)

    await routes.reconcile(tested, router, at)
    assert await routes.split(tested, router) == at
    assert await main_object(lab, router) != before

    await routes.reconcile(plain, router, at)
    assert await main_object(lab, router) == before


async def main_object(lab: Lab, router: Router) -> tuple[Object, Object]:
    name = {HTTP_PROXY: "basket", ROUTE_TABLE: "basket", INGRESS: "basket-public-canary"}[router.kinds[0]]
    obj = await lab.get(router.kinds[0], name)
    return annotations_of(obj), obj["spec"]


THEIRS: list[tuple[str, Object]] = [
    ("contour", {"rateLimitPolicy": {"local": {"requests": 5}}, "enableWebsockets": True}),
    ("gloo", {"name": "main", "options": {"timeout": "5s"}}),
]


@pytest.mark.parametrize(("provider", "theirs"), THEIRS)
async def test_fields_of_others_survive(lab: Lab, provider: str, theirs: Object) -> None:
    """What we know nothing of stays in a route, whatever the weights do."""
    routes, router = await prepared(lab, provider)
    canary, kind = basket(provider), router.kinds[0]
    await routes.reconcile(canary, router, HOME)
    (route,) = (await lab.get(kind, "basket"))["spec"]["routes"]
    await lab.change(kind, {"spec": {"routes": [{**route, **theirs}]}}, "basket")

    await routes.reconcile(canary, router, Split(10))

    (route,) = (await lab.get(kind, "basket"))["spec"]["routes"]
    assert {name: route[name] for name in theirs} == theirs
    assert await routes.split(canary, router) == Split(10)


async def test_the_users_ingress_is_followed(lab: Lab) -> None:
    """Hosts, paths and certificates of the user's Ingress come and go in the canary's; the weight stays."""
    routes, router = await prepared(lab, "nginx")
    await routes.reconcile(basket("nginx"), router, Split(30))
    users = await lab.get(INGRESS, "basket-public")
    rule = users["spec"]["rules"][0]
    more = {"tls": [{"hosts": ["basket.example.test"]}], "rules": [rule, {**rule, "host": "b.test"}]}

    for change in (more, {"tls": None, "rules": [{**rule, "host": None}]}, {"rules": [rule]}):
        await lab.change(INGRESS, {"spec": change}, "basket-public")
        await routes.reconcile(basket("nginx"), router, Split(30))
        users = await lab.get(INGRESS, "basket-public")
        mine = await lab.get(INGRESS, "basket-public-canary")
        assert renamed(mine["spec"], "basket-canary", "basket") == users["spec"]
        assert await routes.split(basket("nginx"), router) == Split(30)


def renamed(spec: Object, old: str, new: str) -> Object:
    """A spec with another Service."""
    paths: Any = [path for rule in spec["rules"] for path in rule["http"]["paths"]]
    for path in paths:
        service = path["backend"]["service"]
        service["name"] = new if service["name"] == old else service["name"]
    return spec


async def test_annotations_of_an_ingress(lab: Lab) -> None:
    """Copied once; those of canaries are always exactly what the split asks for, all others are left alone."""
    routes, router = await prepared(lab, "nginx")
    await lab.change(INGRESS, {"metadata": {"annotations": {f"{PREFIX}/body": "8m"}}}, "basket-public")
    await routes.reconcile(basket("nginx"), router, HOME)
    theirs = {f"{PREFIX}/body": "1m", "theirs": "1"}
    stale = {f"{PREFIX}/canary-by-header": "x-old", f"{PREFIX}/canary-weight-total": "7"}
    body = {"metadata": {"annotations": {**theirs, **stale}}}
    await lab.change(INGRESS, body, "basket-public-canary")

    await routes.reconcile(basket("nginx"), router, Split(10))

    found = annotations_of(await lab.get(INGRESS, "basket-public-canary"))
    assert {key: value for key, value in found.items() if "toolkit" not in key} == {
        **theirs,
        f"{PREFIX}/canary": "true",
        f"{PREFIX}/canary-weight": "10",
    }


@pytest.mark.parametrize("at", [Split(90), Split(10)], ids=str)
async def test_an_ingress_cannot_divide_an_ab_test(lab: Lab, at: Split) -> None:
    """All of the tested requests are the canary's or none: a promotion in steps brings them home at once."""
    routes, router = await prepared(lab, "nginx")
    canary = basket("nginx", analysis=AB)
    await routes.reconcile(canary, router, AWAY)

    await routes.reconcile(canary, router, at)

    assert await routes.split(canary, router) == HOME


async def test_a_canary_ingress_is_handed_back(lab: Lab) -> None:
    """What was made for the Canary goes, what was there before stays; the user's own was never touched."""
    routes, router = await prepared(lab, "nginx")
    before = await lab.get(INGRESS, "basket-public")
    await routes.reconcile(basket("nginx"), router, HOME)

    await routes.hand_back(basket("nginx"), router)

    assert await lab.cluster.get(INGRESS, "shop", "basket-public-canary") is None
    await lab.add(
        {**before, "metadata": {"name": "basket-public-canary", "namespace": "shop"}}, kinds=[INGRESS]
    )
    for _ in range(2):
        await routes.reconcile(basket("nginx"), router, HOME)
        await routes.hand_back(basket("nginx"), router)
    assert (await lab.get(INGRESS, "basket-public-canary"))["spec"]
    assert await lab.get(INGRESS, "basket-public") == before


def settings(**spec: Any) -> Object:
    """An Upstream with connection settings."""
    static = {"hosts": [{"addr": "nowhere.test", "port": 80}]}
    metadata = {"name": "settings", "namespace": "shop"}
    return {"kind": "Upstream", "metadata": metadata, "spec": {"static": static, **spec}}


ROUND_ROBIN = {"roundRobin": {"slowStartConfig": {"slowStartWindow": "2m"}}}
LEAST_REQUEST = {"leastRequest": {"choiceCount": 3}}


async def test_settings_of_an_upstream_are_followed(lab: Lab) -> None:
    """Both Upstreams always have the settings of the one that is named, without rests of older ones."""
    routes, router = await prepared(lab, "gloo")
    ref = {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "settings"}
    canary = basket("gloo", spec={"upstreamRef": ref})
    await lab.add(settings(loadBalancerConfig=ROUND_ROBIN, useHttp2=True), kinds=[UPSTREAM])
    stages: list[Object] = [
        {},
        {
            "loadBalancerConfig": {**LEAST_REQUEST, "roundRobin": None},
            "connectionConfig": {"maxRequestsPerConnection": 5},
        },
        {"loadBalancerConfig": None, "useHttp2": None},
    ]

    for change in stages:
        await lab.change(UPSTREAM, {"spec": change}, "settings")
        for _ in range(2):
            lab.sent.clear()
            await routes.reconcile(canary, router, Split(30))
        assert lab.sent == []
        wanted = (await lab.get(UPSTREAM, "settings"))["spec"]
        for side in ("primary", "canary"):
            found = (await lab.get(UPSTREAM, f"shop-basket-{side}upstream-8080"))["spec"]
            found.pop("kube")
            assert found == {key: value for key, value in wanted.items() if key != "static"}


async def test_an_upstream_without_named_settings_keeps_its_own(lab: Lab) -> None:
    """What somebody set on a generated Upstream stays while the Canary names no other; its Service is ours."""
    routes, router = await prepared(lab, "gloo")
    await routes.reconcile(basket("gloo"), router, HOME)
    name = "shop-basket-primaryupstream-8080"
    before = (await lab.get(UPSTREAM, name))["spec"]
    change = {"loadBalancerConfig": LEAST_REQUEST, "kube": {"servicePort": 1, "selector": {"their": "pods"}}}
    await lab.change(UPSTREAM, {"spec": change}, name)

    await routes.reconcile(basket("gloo"), router, HOME)

    assert (await lab.get(UPSTREAM, name))["spec"] == {**before, "loadBalancerConfig": LEAST_REQUEST}


async def test_shares_without_weights() -> None:
    """An HTTPProxy whose services have no weights at all divides evenly, as Contour does."""
    router, canary = router_of("contour", {}), basket("contour")
    (proxy,) = router.desired(canary, HOME, {})
    for service in proxy["spec"]["routes"][0]["services"]:
        service["weight"] = 0
    (place,) = router.places(canary)

    assert router.split_of(canary, {place: proxy}) == Split(50)


async def test_a_root_proxy_of_the_apexs_name_keeps_its_host(lab: Lab) -> None:
    """One that was there before keeps what makes it a root; only its routes are ours."""
    routes, router = await prepared(lab, "contour")
    virtualhost = {"fqdn": "basket.example.test"}
    proxy = {"kind": "HTTPProxy", "metadata": {"name": "basket", "namespace": "shop"}}
    await lab.add({**proxy, "spec": {"virtualhost": virtualhost, "routes": []}}, kinds=[HTTP_PROXY])

    await routes.reconcile(basket("contour"), router, Split(20))

    assert (await lab.get(HTTP_PROXY, "basket"))["spec"]["virtualhost"] == virtualhost
    assert await routes.split(basket("contour"), router) == Split(20)
