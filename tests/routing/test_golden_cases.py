"""What the routers write, case by case: pure, and through an API with the provider's CRDs."""

from __future__ import annotations

import pytest

from flagger.kube.errors import Invalid
from flagger.kube.objects import Object, annotations_of, name_of
from flagger.routing.base import Router
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from tests.fakes.cluster import Lab
from tests.routing.examples import split
from tests.routing.goldens import CASES, add_all, canary_of, live_of, named, router_of

VALID = [(provider, case) for provider, case in CASES if "refused" not in case]
REFUSED = [(provider, case) for provider, case in CASES if "refused" in case]
every_case = pytest.mark.parametrize(("provider", "case"), CASES, ids=named)
every_valid_case = pytest.mark.parametrize(("provider", "case"), VALID, ids=named)


@every_case
def test_golden_objects(provider: str, case: Object) -> None:
    """The whole objects as they are sent: owner, GitOps marks, the metadata asked for, and the spec."""
    router = router_of(provider, case)

    made = router.desired(canary_of(provider, case), split(case["split"]), live_of(provider, case))

    assert [overlay(None, obj) for obj in made] == case["objects"]


@every_valid_case
async def test_golden_objects_are_valid_and_stay(lab: Lab, provider: str, case: Object) -> None:
    """The API takes every one, what it fills in by itself causes no further write, and the split is read back."""
    router, routes, canary = router_of(provider, case), Routes(lab.cluster), canary_of(provider, case)
    await add_all(lab, live_of(provider, case))

    for _ in range(2):
        await routes.reconcile(canary, router, split(case["split"]))

    assert len(lab.writes()) == len(case["objects"])
    assert await routes.split(canary, router) == split(case["split"])


@pytest.mark.parametrize(("provider", "case"), REFUSED, ids=named)
async def test_what_the_api_refuses(lab: Lab, provider: str, case: Object) -> None:
    """What upstream hands on unchecked is refused by the provider's CRD; its message names object and field."""
    router, routes, canary = router_of(provider, case), Routes(lab.cluster), canary_of(provider, case)
    await add_all(lab, live_of(provider, case))

    with pytest.raises(Invalid, match=case["refused"]):
        await routes.reconcile(canary, router, split(case["split"]))


@every_valid_case
async def test_objects_of_another_stage_become_the_golden_ones(lab: Lab, provider: str, case: Object) -> None:
    """Whatever stage the objects are in, a correction leaves what would be made anew."""
    router, routes, canary = router_of(provider, case), Routes(lab.cluster), canary_of(provider, case)
    await add_all(lab, live_of(provider, case))
    await routes.reconcile(canary, router, split(case["split"]))
    fresh = await stored(lab, router, case)

    for other in (case for family, case in VALID if family == provider and "spec" not in case):
        older = canary_of(provider, {**other, "service": case["service"]})
        await routes.reconcile(older, router, split(other["split"]))
        await routes.reconcile(canary, router, split(case["split"]))
        assert await stored(lab, router, case) == fresh, other["id"]


async def stored(lab: Lab, router: Router, case: Object) -> list[tuple[Object, Object]]:
    """Annotations and spec of the objects of a case."""
    kinds = {kind.kind: kind for kind in router.kinds}
    found = [await lab.get(kinds[obj["kind"]], name_of(obj)) for obj in case["objects"]]
    return [(annotations_of(obj), obj["spec"]) for obj in found]
