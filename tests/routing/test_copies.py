"""Routers that copy what users wrote: a run waits while the original is unusable, and can still be taken back."""

from __future__ import annotations

import pytest

from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import RouteError
from flagger.routing.overlay import overlay
from flagger.routing.table import router_for
from tests.routing.examples import an_apisix_route, an_ingress, basket, live_of


@pytest.mark.parametrize(
    ("provider", "original", "damage"),
    [
        pytest.param("apisix", an_apisix_route(), {"http": []}, id="apisix"),
        pytest.param("skipper", an_ingress(), {"rules": []}, id="skipper"),
    ],
)
@pytest.mark.parametrize("is_gone", [True, False], ids=["deleted", "leading elsewhere"])
def test_an_original_that_is_lost_in_mid_run(
    provider: str, original: Object, damage: Object, is_gone: bool
) -> None:
    """The error names it and what the copy asks for; weights can be moved in the copy as it is."""
    router, canary = router_for(provider), basket(provider)
    assert router is not None
    (made,) = router.desired(canary, Split(30), live_of(router, original))
    copy = overlay(None, made)
    left = [] if is_gone else [{**original, "spec": damage}]

    with pytest.raises(RouteError, match=original["metadata"]["name"]) as lost:
        router.split_of(canary, live_of(router, copy, *left))
    assert lost.value.written == Split(30)

    for split in (AWAY, HOME):
        (moved,) = router.desired(canary, split, live_of(router, copy, *left))
        after = overlay(copy, moved)
        assert router.split_of(canary, live_of(router, after, original)) == split
        (with_original,) = router.desired(canary, split, live_of(router, copy, original))
        assert after == overlay(copy, with_original)
