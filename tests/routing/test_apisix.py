"""What is peculiar to APISIX: which rule of the user's route is copied."""

from __future__ import annotations

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.rollout.state import HOME, Split
from flagger.routing.base import RouteError
from flagger.routing.providers.apisix import APISIX_ROUTE, Apisix
from flagger.routing.sync import Routes
from tests.fakes.cluster import Lab
from tests.routing.examples import an_apisix_route, basket, live_of

ROUTER, CANARY = Apisix(), basket("apisix")
ORIGINAL = an_apisix_route()
(RULE,) = ORIGINAL["spec"]["http"]
COPY = "routes-basket-canary"


def a_route(*rules: Object, name: str = "routes") -> Object:
    return {
        **an_apisix_route(),
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"http": list(rules)},
    }


@pytest.mark.parametrize(
    ("canary", "originals", "message"),
    [
        pytest.param(basket("traefik"), [], r"spec\.routeRef is missing", id="no reference"),
        pytest.param(CANARY, [], r"ApisixRoute routes\.shop not found: create it", id="no route"),
        pytest.param(CANARY, [a_route()], r"routes\.shop: no rule of spec\.http has", id="no rules"),
        pytest.param(
            basket("apisix", service={"port": 80, "name": "orders"}),
            [ORIGINAL],
            r"no rule of spec\.http has the backend orders: add one, or name another route",
            id="another Service",
        ),
        pytest.param(
            CANARY,
            [a_route({"name": "x", "match": {}}, {**RULE, "backends": RULE["backends"] * 2})],
            r"ApisixRoute routes\.shop: rule api of spec\.http has 2 backends",
            id="a Service beside it",
        ),
    ],
)
def test_what_cannot_be_copied(canary: Canary, originals: list[Object], message: str) -> None:
    """The error names object and field; nothing is made, so the route goes on serving the primary."""
    with pytest.raises(RouteError, match=message):
        ROUTER.desired(canary, HOME, live_of(ROUTER, *originals))


@pytest.mark.parametrize(
    ("weights", "found"),
    [((100, 0), HOME), ((3, 1), Split(25)), ((None, 100), Split(50)), ((0, 0), HOME)],
)
def test_weights_of_others(weights: tuple[int | None, int], found: Split) -> None:
    """Weights are shares, and one that is left out is 100."""
    backends = [
        {"serviceName": name, "servicePort": 80} | ({} if weight is None else {"weight": weight})
        for name, weight in zip(("basket-primary", "basket-canary"), weights, strict=True)
    ]
    copy = a_route({**RULE, "backends": backends}, name=COPY)

    assert ROUTER.split_of(CANARY, live_of(ROUTER, ORIGINAL, copy)) == found


def test_a_copy_without_the_primary() -> None:
    """A damaged copy is no split of 100/0."""
    with pytest.raises(RouteError, match=rf"{COPY}\.shop has no rule with the backend basket-primary"):
        ROUTER.split_of(CANARY, live_of(ROUTER, a_route(RULE, name=COPY)))


async def test_the_copy_follows_the_original(lab: Lab) -> None:
    """What is changed in the user's route in mid-run reaches the copy, and the split stays."""
    routes = Routes(lab.cluster)
    await lab.add(ORIGINAL)
    await routes.reconcile(CANARY, ROUTER, Split(40))
    changed = {**RULE, "match": {"paths": ["/v2/*"]}}
    changed.pop("plugins")
    await lab.change(APISIX_ROUTE, {"spec": {"http": [changed]}}, "routes")

    await routes.reconcile(CANARY, ROUTER, await routes.split(CANARY, ROUTER))

    (rule,) = (await lab.get(APISIX_ROUTE, COPY))["spec"]["http"]
    assert (rule["match"], "plugins" in rule) == ({"paths": ["/v2/*"]}, False)
    assert await routes.split(CANARY, ROUTER) == Split(40)
