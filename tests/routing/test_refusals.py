"""What routers of ingress controllers refuse, and in which words: always object and field, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import Live, Place, RouteError
from tests.routing.examples import INGRESS, basket, needed
from tests.routing.goldens import router_of


def ab(*conditions: Mapping[str, Any], iterations: int = 2) -> Object:
    """An A/B test of some conditions."""
    return {"stepWeight": 10, "iterations": iterations, "match": list(conditions)}


def headers(**conditions: Mapping[str, str]) -> Object:
    """A condition on headers."""
    return {"headers": {name.replace("_", "-"): condition for name, condition in conditions.items()}}


BETA = headers(x_beta={"exact": "yes"})
INEXPRESSIBLE = [
    (
        "contour",
        ab({"queryParams": {"q": {"exact": "1"}}}),
        r"match\[0\]\.queryParams .*Contour.*use headers",
    ),
    ("contour", ab(BETA, {"sourceLabels": {"app": "web"}}), r"match\[1\]\.sourceLabels .*use headers"),
    ("contour", ab(headers(x_user={"regex": "in.*"})), r"headers\.x-user .*use exact, prefix or suffix"),
    ("gloo", ab({"queryParams": {"q": {"exact": "1"}}, **BETA}), r"match\[0\]\.queryParams .*use headers"),
    ("gloo", ab({}), r"match\[0\] .*every request; add headers"),
    ("nginx", ab({"sourceLabels": {"app": "web"}}), r"match\[0\]\.sourceLabels .*use headers"),
    ("nginx", ab(headers(x_user={"prefix": "in"})), r"headers\.x-user .*use exact or regex"),
    ("nginx", ab(headers(cookie={"regex": "a=1"})), r"headers\.cookie .*the name of a cookie"),
    ("nginx", ab(BETA, headers(x_user={"exact": "a"})), r"match\[1\]\.headers\.x-user .*remove one"),
    ("nginx", ab(headers(a={"exact": "1"}, b={"exact": "2"})), r"headers\.b .*a condition of its own"),
    ("nginx", ab(BETA, iterations=0), r"spec\.analysis\.match .*by weight; set iterations"),
]


@pytest.mark.parametrize(("provider", "analysis", "message"), INEXPRESSIBLE)
def test_an_ab_test_that_cannot_be_expressed(provider: str, analysis: Object, message: str) -> None:
    """It is refused at every stage, before traffic moves: nobody else may be sent to the canary."""
    router, canary = router_of(provider, {}), basket(provider, analysis=analysis)

    for split in (HOME, AWAY):
        with pytest.raises(RouteError, match=message) as refused:
            router.desired(canary, split, needed(provider, router))
        assert "basket.shop" in str(refused.value)


def without(provider: str, kind: str, name: str) -> Live:
    """What the provider needs but one object."""
    live = needed(provider, router_of(provider, {}))
    return {place: obj for place, obj in live.items() if (place.kind.kind, place.name) != (kind, name)}


def users_ingress(**spec: Any) -> Live:
    """The user's Ingress with another spec."""
    (place,) = needed("nginx", router_of("nginx", {}))
    return {place: {**INGRESS, "spec": spec}}


GLOO_REF = {"upstreamRef": {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "settings"}}
MISSING = [
    (
        "nginx",
        {"spec": {}},
        {},
        r"spec\.ingressRef of basket\.shop is missing: name the Ingress .* Service basket",
    ),
    (
        "nginx",
        {},
        {},
        r"Ingress basket-public\.shop, which spec\.ingressRef of basket\.shop names, not found",
    ),
    (
        "nginx",
        {},
        users_ingress(rules=[{"host": "a.test"}]),
        r"spec\.rules of Ingress basket-public\.shop has",
    ),
    (
        "nginx",
        {},
        users_ingress(defaultBackend={"service": {"name": "basket", "port": {"number": 80}}}),
        r"has no http path to Service basket: add one, or name another",
    ),
    (
        "nginx",
        {},
        users_ingress(rules=[{"http": {"paths": [{"backend": {"resource": {"kind": "Bucket"}}}]}}]),
        r"has no http path to Service basket",
    ),
    (
        "gloo",
        {},
        without("gloo", "Service", "basket-canary"),
        r"Upstream shop-basket-canaryupstream-8080\.shop can't be made: Service basket-canary\.shop not found",
    ),
    (
        "gloo",
        {"spec": GLOO_REF},
        without("gloo", "", ""),
        r"Upstream settings\.shop, which spec\.upstreamRef of basket\.shop names, not found",
    ),
]


@pytest.mark.parametrize(("provider", "changes", "live", "message"), MISSING)
def test_what_a_route_is_made_from_is_missing(
    provider: str, changes: Object, live: Live, message: str
) -> None:
    """The message says what is missing and where the Canary refers to it."""
    with pytest.raises(RouteError, match=message):
        router_of(provider, {}).desired(basket(provider, **changes), HOME, live)


def live_object(provider: str, change: Mapping[str, Any]) -> Live:
    """What a router made at 70/30, with the main object's fields changed."""
    router = router_of(provider, {})
    live = needed(provider, router)
    (*_, main) = router.desired(basket(provider), Split(30), live)
    place = Place(router.kinds[0], "shop", main["metadata"]["name"])
    metadata = {**main["metadata"], **change.get("metadata", {})}
    return {**live, place: {**main, **change, "metadata": metadata}}


def nginx_weight(weight: str) -> Object:
    return {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/canary-weight": weight}}}


DAMAGED = [
    ("contour", {"spec": {}}, r"spec\.routes\[0\] of HTTPProxy basket\.shop doesn't have the services"),
    ("contour", {"spec": {"routes": [{"services": [{"name": "basket-primary"}]}]}}, "and basket-canary"),
    ("gloo", {"spec": {"routes": []}}, r"spec\.routes\[0\] of RouteTable basket\.shop doesn't lead to"),
    ("gloo", {"spec": {"routes": [{"routeAction": {"multi": {"destinations": [{}]}}}]}}, "doesn't lead to"),
    ("gloo", {"spec": {"routes": [{"delegateAction": {}}]}}, "and shop-basket-canaryupstream-8080"),
    ("nginx", nginx_weight("much"), r"canary-weight is 'much', .* 0 to 100 in Ingress basket-public-canary"),
    ("nginx", nginx_weight("101"), r"annotation nginx\.ingress\.kubernetes\.io/canary-weight is '101'"),
]


@pytest.mark.parametrize(("provider", "change", "message"), DAMAGED)
def test_a_damaged_object_is_no_split(provider: str, change: Object, message: str) -> None:
    """Nothing is guessed about an object that doesn't name both sides."""
    with pytest.raises(RouteError, match=message):
        router_of(provider, {}).split_of(basket(provider), live_object(provider, change))
