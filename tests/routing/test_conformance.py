"""What every router promises, whatever its API; a new row of the table is tested by being there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from flagger.api.canary import VARIANTS
from flagger.kube.errors import Invalid
from flagger.kube.objects import Kind, Object, annotations_of, labels_of, name_of
from flagger.rollout.state import AWAY, HOME, Feature, Split
from flagger.routing.base import Place, RouteError, Router
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from flagger.routing.table import ROUTERS, router_for
from tests.fakes.cluster import SHOP, Lab, a_lab, the_definitions
from tests.routing.examples import basket, needed


def router_of(provider: str) -> Router:
    router = router_for(provider)
    assert router is not None
    return router


SPLITS = [HOME, Split(10), Split(30), Split(50), AWAY]
MAKING = [provider for provider in ROUTERS if provider != "knative"]  # which makes nothing: test_knative.py
WRITING = [provider for provider in MAKING if router_for(provider).features]
everyone = pytest.mark.parametrize("provider", MAKING)
who_writes = pytest.mark.parametrize("provider", WRITING)


def made(provider: str, router: Router) -> Sequence[Object]:
    """What the router makes of nothing but what it needs."""
    return router.desired(basket(provider), HOME, needed(provider, router))


def main_object(provider: str, router: Router) -> tuple[Kind, str]:
    """The object that holds the split: the router's first kind."""
    (main, *_) = router.kinds
    return main, next(name_of(obj) for obj in made(provider, router) if obj["kind"] == main.kind)


def place_of(kind: Kind, name: str) -> Place:
    """Where a router's object is."""
    return Place(kind, SHOP if kind.namespaced else "", name)


async def prepared(lab: Lab, provider: str) -> tuple[Routes, Router]:
    """A router whose objects don't exist, but all that it needs."""
    router = router_of(provider)
    for place, obj in needed(provider, router).items():
        await lab.add(obj, kinds=[place.kind])
    return Routes(lab.cluster), router


async def written(lab: Lab, provider: str, split: Split = HOME) -> tuple[Routes, Router]:
    """A router whose objects exist."""
    routes, router = await prepared(lab, provider)
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
    kind, name = main_object(provider, router)
    lab.sent.clear()

    await routes.reconcile(basket(provider), router, Split(10))

    assert [request.method for request in lab.sent] == ["PATCH"]
    assert lab.writes() == [f"PATCH {kind.plural}/{name}"]


@who_writes
async def test_drift_is_corrected_at_the_live_split(lab: Lab, provider: str) -> None:
    """Somebody's edit is undone, and the run goes on where it was."""
    routes, router = await written(lab, provider, Split(30))
    kind, name = main_object(provider, router)
    before = await lab.get(kind, name)
    edit = await damage(lab, provider, router, before)
    assert edit != before["spec"]
    await lab.change(kind, {"metadata": {"annotations": {"theirs": "1"}}}, name)

    await routes.reconcile(basket(provider), router, await routes.split(basket(provider), router))

    after = await lab.get(kind, name)
    assert after["spec"] == before["spec"]
    assert annotations_of(after)["theirs"] == "1"


async def damage(lab: Lab, provider: str, router: Router, obj: Object) -> Object:
    """Make the first edit of a spec that leaves the split as it is and that the API takes."""
    kind, name = main_object(provider, router)
    for spec in edits(obj["spec"]):
        live = {**needed(provider, router), place_of(kind, name): {**obj, "spec": spec}}
        try:
            if router.split_of(basket(provider), live) == Split(30):
                return (await lab.change(kind, {"spec": spec}, name))["spec"]
        except (RouteError, Invalid):
            continue
    raise AssertionError(f"no edit of {kind.kind} leaves the split as it is")


def edits(value: Any) -> Iterator[Any]:
    """The value with one of the texts in it changed."""
    match value:
        case str():
            yield "theirs"
        case dict():
            yield from ({**value, key: edit} for key in value for edit in edits(value[key]))
        case list():
            for index, item in enumerate(value):
                yield from ([*value[:index], edit, *value[index + 1 :]] for edit in edits(item))


@who_writes
async def test_metadata_of_others_survives(lab: Lab, provider: str) -> None:
    """Labels, annotations and finalizers of others stay; ours are put back."""
    routes, router = await written(lab, provider)
    kind, name = main_object(provider, router)
    ours = annotations_of(await lab.get(kind, name))
    theirs = {"labels": {"theirs": "1"}, "annotations": {"theirs": "2", **dict.fromkeys(ours)}}
    await lab.change(kind, {"metadata": {**theirs, "finalizers": ["example.com/theirs"]}}, name)

    await routes.reconcile(basket(provider), router, HOME)

    after = await lab.get(kind, name)
    assert labels_of(after) == {"theirs": "1"}
    assert annotations_of(after) == {"theirs": "2", **ours}
    assert after["metadata"]["finalizers"] == ["example.com/theirs"]


@who_writes
async def test_an_object_that_was_there_is_used_but_not_adopted(lab: Lab, provider: str) -> None:
    """It is brought into shape, and it outlives the Canary: no owner is added."""
    _, router = await prepared(lab, provider)
    kind, name = main_object(provider, router)
    (mine, *_) = (overlay(None, obj) for obj in made(provider, router) if obj["kind"] == kind.kind)
    metadata = {"name": name, "namespace": place_of(kind, name).namespace or None}
    await lab.add({**mine, "metadata": metadata}, kinds=[kind])
    await lab.change(kind, {"metadata": {"labels": {"theirs": "1"}}}, name)

    await Routes(lab.cluster).reconcile(basket(provider), router, Split(20))

    after = await lab.get(kind, name)
    assert "ownerReferences" not in after["metadata"]
    assert await Routes(lab.cluster).split(basket(provider), router) == Split(20)


@who_writes
async def test_a_missing_object_is_said_and_made_again(lab: Lab, provider: str) -> None:
    """Without its object a split can't be read; the next correction makes it again."""
    routes, router = await written(lab, provider)
    kind, name = main_object(provider, router)
    await lab.remove(kind, name)

    with pytest.raises(RouteError, match=f"{re.escape(str(place_of(kind, name)))} not found"):
        await routes.split(basket(provider), router)

    await routes.reconcile(basket(provider), router, HOME)
    assert await routes.split(basket(provider), router) == HOME


@who_writes
async def test_a_conflict_is_tried_again(lab: Lab, provider: str) -> None:
    """Somebody who writes at the same moment costs a repetition, no error."""
    routes, router = await written(lab, provider)
    kind, name = main_object(provider, router)
    await lab.client.patch(kind, name, SHOP, {"metadata": {"labels": {"theirs": "1"}}})

    await routes.reconcile(basket(provider), router, Split(10))

    assert await routes.split(basket(provider), router) == Split(10)
    assert labels_of(await lab.get(kind, name)) == {"theirs": "1"}


@pytest.mark.parametrize(
    "provider", [name for name in WRITING if router_of(name).kinds[0].group != "networking.k8s.io"]
)
async def test_a_cluster_without_the_kind(provider: str) -> None:
    """The message says which object can't be read, which kind is missing and what to do."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    router = router_of(provider)
    kind, name = main_object(provider, router)
    async with a_lab(ours) as lab:
        routes, canary = Routes(lab.cluster), basket(provider)
        for act in (routes.split(canary, router), routes.reconcile(canary, router, HOME)):
            with pytest.raises(
                RouteError,
                match=rf"{kind.kind} {name}.* can't be read: .*doesn't serve {kind.resource}.*install its CRD",
            ):
                await act


@who_writes
async def test_owner(lab: Lab, provider: str) -> None:
    """What a router makes goes with its Canary; only what belongs to no namespace can't."""
    _, router = await written(lab, provider)
    kind, name = main_object(provider, router)

    owners = (await lab.get(kind, name))["metadata"].get("ownerReferences", ())

    found = [(owner["kind"], owner["name"], owner["controller"]) for owner in owners]
    assert found == ([("Canary", "basket", True)] if kind.namespaced else [])


@everyone
def test_declares_its_kinds(provider: str) -> None:
    """Every object that a router makes or reads is of a kind that it declares, which is what is watched."""
    router = router_of(provider)
    declared = {(kind.api_version, kind.kind) for kind in router.kinds}

    written = {(obj["apiVersion"], obj["kind"]) for obj in made(provider, router)}

    assert written <= declared
    assert {place.kind for place in router.places(basket(provider))} == set(router.kinds)


@who_writes
def test_places_of_all_it_makes(provider: str) -> None:
    """What a router makes is what it is given again, and needs nothing more than it says."""
    router = router_of(provider)

    places = {(place.kind.kind, place.name) for place in router.places(basket(provider))}

    assert {(obj["kind"], name_of(obj)) for obj in made(provider, router)} <= places
    assert {(place.kind.kind, place.name) for place in needed(provider, router)} <= places


def test_unknown_providers_have_no_router() -> None:
    """A typing error is not somebody else's mesh."""
    assert router_for("gatewayapi") is None


@pytest.mark.parametrize("family", VARIANTS)
def test_variants_have_the_router_of_their_family(family: str) -> None:
    """What follows the last colon changes nothing where no row of the table says so."""
    assert router_of(f"{family}:anything").kinds == router_of(family).kinds
