"""What is peculiar to Skipper: the copy of an Ingress, its predicates, and its way back."""

from __future__ import annotations

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import INGRESS, Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import RouteError
from flagger.routing.providers.skipper.annotations import WEIGHTS, with_predicate
from flagger.routing.providers.skipper.router import Skipper
from flagger.routing.sync import Routes
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import an_ingress, basket, live_of

ROUTER, CANARY = Skipper(), basket("skipper")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "Weight(100)", id="nothing"),
        pytest.param("  ", "Weight(100)", id="blanks"),
        pytest.param('Method("GET")', 'Weight(100) && Method("GET")', id="somebody else's"),
        pytest.param('Weight(100)&&Method("GET")', 'Weight(100) && Method("GET")', id="there already"),
        pytest.param('Method("GET") && False()', 'Weight(100) && Method("GET")', id="the opposite"),
        pytest.param("Weight(5) &&", "Weight(100) && Weight(5)", id="another weight"),
    ],
)
def test_predicates(before: str, after: str) -> None:
    """Ours comes first and once; those of others stay."""
    assert with_predicate(before, "Weight(100)") == after


def a_copy(**annotations: str) -> Object:
    copy = an_ingress(annotations=annotations)
    return {**copy, "metadata": {**copy["metadata"], "name": "public-canary"}}


@pytest.mark.parametrize(
    "weights",
    ["", "{", "[1]", '{"basket-primary": 100}', '{"basket-primary": 50, "basket-canary": "50"}'],
)
def test_weights_that_cannot_be_read(weights: str) -> None:
    """A damaged annotation is no split of 100/0, and the next correction mends it."""
    copy = a_copy(**{WEIGHTS: weights})
    live = live_of(ROUTER, an_ingress(), copy)

    with pytest.raises(RouteError, match=r"Ingress public-canary\.shop: the annotation .*backend-weights"):
        ROUTER.split_of(CANARY, live)

    (mended,) = ROUTER.desired(CANARY, Split(30), live)
    assert ROUTER.split_of(CANARY, live_of(ROUTER, an_ingress(), mended)) == Split(30)


@pytest.mark.parametrize(
    ("canary", "originals", "message"),
    [
        pytest.param(
            basket("traefik"), [], r"spec\.ingressRef is missing: name the object", id="no reference"
        ),
        pytest.param(
            CANARY, [], r"Ingress public\.shop not found: create it.*spec\.ingressRef", id="no Ingress"
        ),
        pytest.param(
            basket("skipper", service={"port": 80, "name": "orders"}),
            [an_ingress()],
            r"Ingress public\.shop has no path to the Service orders: add one",
            id="another Service",
        ),
        pytest.param(
            CANARY, [{**an_ingress(), "spec": {}}], "has no path to the Service basket", id="no rules"
        ),
    ],
)
def test_what_cannot_be_copied(canary: Canary, originals: list[Object], message: str) -> None:
    """The error names object and field; nothing is made, so the Ingress goes on serving the primary."""
    with pytest.raises(RouteError, match=message):
        ROUTER.desired(canary, HOME, live_of(ROUTER, *originals))


async def test_the_way_back(lab: Lab) -> None:
    """The copy is deleted, the user's Ingress is as it was, and a second time changes nothing."""
    routes = Routes(lab.cluster)
    before = await lab.add(an_ingress())
    await routes.reconcile(CANARY, ROUTER, AWAY)

    for _ in range(2):
        await routes.hand_back(CANARY, ROUTER)

    assert [each["metadata"]["name"] for each in (await lab.client.list(INGRESS, SHOP)).items] == ["public"]
    assert await lab.get(INGRESS, "public") == before
