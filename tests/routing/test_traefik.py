"""What is peculiar to Traefik: missing weights, of which upstream leaves some behind."""

from __future__ import annotations

import pytest

from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import RouteError
from flagger.routing.providers.traefik import Traefik
from tests.routing.examples import basket, live_of

ROUTER, CANARY = Traefik(), basket("traefik")
PRIMARY, CANDIDATE = {"name": "basket-primary", "port": 8080}, {"name": "basket-canary", "port": 8080}


def an_object(*services: Object) -> Object:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": "basket", "namespace": "shop"},
        "spec": {"weighted": {"services": list(services)}},
    }


@pytest.mark.parametrize(
    ("services", "found"),
    [
        pytest.param([PRIMARY | {"weight": 100}], HOME, id="at home"),
        pytest.param([PRIMARY, CANDIDATE | {"weight": 100}], AWAY, id="upstream's 0/100"),
        pytest.param([PRIMARY | {"weight": 100}, CANDIDATE | {"weight": 100}], Split(50), id="100/100"),
        pytest.param([PRIMARY], HOME, id="only the primary"),
    ],
)
def test_weights_of_others(services: list[Object], found: Split) -> None:
    """Weights are shares, and what upstream leaves behind is read as it was meant."""
    assert ROUTER.split_of(CANARY, live_of(ROUTER, an_object(*services))) == found


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(an_object(CANDIDATE), id="without the primary"),
        pytest.param({**an_object(), "spec": {"mirroring": {"name": "basket"}}}, id="not weighted"),
    ],
)
def test_an_object_without_the_primary(obj: Object) -> None:
    """A damaged object is no split of 100/0, and the next correction mends it."""
    live = live_of(ROUTER, obj)
    with pytest.raises(RouteError, match=r"TraefikService basket\.shop has no service basket-primary"):
        ROUTER.split_of(CANARY, live)

    (mended,) = ROUTER.desired(CANARY, Split(20), live)
    assert ROUTER.split_of(CANARY, live_of(ROUTER, mended)) == Split(20)
