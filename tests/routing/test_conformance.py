"""What every router promises, whatever its API; a new row of the table is tested by being there."""

from __future__ import annotations

import pytest

from flagger.kube.objects import Kind, Object, annotations_of, labels_of
from flagger.rollout.state import AWAY, HOME, Feature, Split
from flagger.routing.base import RouteError, Router
from flagger.routing.sync import Routes
from flagger.routing.table import ROUTERS, router_for
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket

SPLITS = [HOME, Split(10), Split(30), Split(50), AWAY]
WRITING = [provider for provider in ROUTERS if router_for(provider).features]
everyone = pytest.mark.parametrize("provider", ROUTERS)
who_writes = pytest.mark.parametrize("provider", WRITING)


def router_of(provider: str) -> Router:
    router = router_for(provider)
    assert router is not None
    return router


def main_object(router: Router) -> tuple[Kind, str]:
    """The object that holds the split."""
    (desired, *_) = router.desired(basket(), HOME, {})
    return router.kinds[0], desired["metadata"]["name"]


async def written(lab: Lab, provider: str, split: Split = HOME) -> tuple[Routes, Router]:
    """A router whose objects exist."""
    routes, router = Routes(lab.cluster), router_of(provider)
    await routes.reconcile(basket(provider), router, split)
    return routes, router


@who_writes
@pytest.mark.parametrize("split", SPLITS, ids=str)
async def test_reads_back_what_it_wrote(lab: Lab, provider: str, split: Split) -> None:
    """Through a real API, every router finds its own split again."""
    routes, router = await written(lab, provider, split)

    assert await routes.split(basket(provider), router) == split


@pytest.mark.parametrize(
    "provider", [name for name in WRITING if Feature.MIRROR in router_for(name).features]
)
async def test_reads_back_a_mirror(lab: Lab, provider: str) -> None:
    """A router that can mirror finds that it does, and that it no longer does."""
    routes, router = await written(lab, provider, Split(0, mirrored=True))
    assert await routes.split(basket(provider), router) == Split(0, mirrored=True)

    await routes.reconcile(basket(provider), router, Split(10))
    assert await routes.split(basket(provider), router) == Split(10)


@everyone
async def test_nothing_is_written_when_nothing_differs(lab: Lab, provider: str) -> None:
    """Whatever the server filled in by itself is no difference."""
    routes, router = await written(lab, provider, Split(30))
    lab.sent.clear()

    await routes.reconcile(basket(provider), router, Split(30))

    assert lab.sent == []


@who_writes
async def test_a_move_is_one_write(lab: Lab, provider: str) -> None:
    """One request, and none to read."""
    routes, router = await written(lab, provider)
    kind, name = main_object(router)
    lab.sent.clear()

    await routes.reconcile(basket(provider), router, Split(10))

    assert [request.method for request in lab.sent] == ["PATCH"]
    assert lab.writes() == [f"PATCH {kind.plural}/{name}"]


@who_writes
async def test_drift_is_corrected_at_the_live_split(lab: Lab, provider: str) -> None:
    """Somebody's edit is undone, and the run goes on where it was."""
    routes, router = await written(lab, provider, Split(30))
    kind, name = main_object(router)
    before = await lab.get(kind, name)
    await lab.change(
        kind, {"spec": damaged(before["spec"]), "metadata": {"annotations": {"theirs": "1"}}}, name
    )

    await routes.reconcile(basket(provider), router, await routes.split(basket(provider), router))

    after = await lab.get(kind, name)
    assert after["spec"] == before["spec"]
    assert annotations_of(after)["theirs"] == "1"


def damaged(spec: Object) -> Object:
    """An edit that leaves the split as it is: what comes first of the spec's other lists is gone."""
    return {next(key for key, value in spec.items() if isinstance(value, list) and key != "rules"): []}


@who_writes
async def test_metadata_of_others_survives(lab: Lab, provider: str) -> None:
    """Labels, annotations and finalizers of others stay; ours are put back."""
    routes, router = await written(lab, provider)
    kind, name = main_object(router)
    ours = annotations_of(await lab.get(kind, name))
    theirs = {"labels": {"theirs": "1"}, "annotations": {"theirs": "2", **dict.fromkeys(ours)}}
    await lab.change(kind, {"metadata": {**theirs, "finalizers": ["example.com/theirs"]}}, name)

    await routes.reconcile(basket(provider), router, Split(10))

    after = await lab.get(kind, name)
    assert labels_of(after) == {"theirs": "1"}
    assert annotations_of(after) == {"theirs": "2", **ours}
    assert after["metadata"]["finalizers"] == ["example.com/theirs"]


@who_writes
async def test_an_object_that_was_there_is_used_but_not_adopted(lab: Lab, provider: str) -> None:
    """It is brought into shape, and it outlives the Canary: no owner is added."""
    router = router_of(provider)
    (mine, *_) = router.desired(basket(provider), HOME, {})
    kind, name = main_object(router)
    theirs = {key: value for key, value in mine.items() if key != "metadata"}
    theirs["metadata"] = {"name": name, "namespace": SHOP}
    await lab.client.create(kind, theirs)
    await lab.change(kind, {"metadata": {"labels": {"theirs": "1"}}}, name)

    await Routes(lab.cluster).reconcile(basket(provider), router, Split(20))

    after = await lab.get(kind, name)
    assert "ownerReferences" not in after["metadata"]
    assert await Routes(lab.cluster).split(basket(provider), router) == Split(20)


@who_writes
async def test_a_missing_object_is_said_and_made_again(lab: Lab, provider: str) -> None:
    """Without its object a split can't be read; the next correction makes it again."""
    routes, router = await written(lab, provider)
    kind, name = main_object(router)
    await lab.remove(kind, name)

    with pytest.raises(RouteError, match=rf"{kind.kind} {name}\.shop not found"):
        await routes.split(basket(provider), router)

    await routes.reconcile(basket(provider), router, HOME)
    assert await routes.split(basket(provider), router) == HOME


@who_writes
async def test_a_conflict_is_tried_again(lab: Lab, provider: str) -> None:
    """Somebody who writes at the same moment costs a repetition, no error."""
    routes, router = await written(lab, provider)
    kind, name = main_object(router)
    await lab.client.patch(kind, name, SHOP, {"metadata": {"labels": {"theirs": "1"}}})

    await routes.reconcile(basket(provider), router, Split(10))

    assert await routes.split(basket(provider), router) == Split(10)
    assert labels_of(await lab.get(kind, name)) == {"theirs": "1"}


@who_writes
async def test_owner(lab: Lab, provider: str) -> None:
    """What a router makes goes with its Canary."""
    _, router = await written(lab, provider)
    kind, name = main_object(router)

    (owner,) = (await lab.get(kind, name))["metadata"]["ownerReferences"]

    assert (owner["kind"], owner["name"], owner["controller"]) == ("Canary", "basket", True)


@everyone
def test_declares_its_kinds(provider: str) -> None:
    """Every object that a router makes is of a kind that it declares, which is what is watched."""
    router = router_of(provider)
    declared = {(kind.api_version, kind.kind) for kind in router.kinds}

    made = {(obj["apiVersion"], obj["kind"]) for obj in router.desired(basket(provider), HOME, {})}

    assert made == declared


def test_unknown_providers_have_no_router() -> None:
    """A typing error is not somebody else's mesh."""
    assert router_for("gatewayapi") is None
