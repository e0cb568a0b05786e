"""Routes of users, whose weights are moved where they are; VirtualServices stand for all kinds."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.names import ROUTE_REFS, USERS_WEIGHTS
from flagger.kube.objects import Object, annotations_of
from flagger.rollout.state import AWAY, HOME, Feature, Split
from flagger.routing.base import Place, RouteError, Router
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from flagger.routing.table import router_of, unrouted
from tests.fakes.cluster import SHOP, VIRTUAL_SERVICE, Lab
from tests.routing.examples import basket

REF = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "name": "theirs"}
PRIMARY = ("basket-primary", "basket-primary.shop", "basket-primary.shop.svc.cluster.local")
CANARY = ("basket-canary", "basket-canary.shop.svc", "basket-canary.shop.svc.example.org")


def a_canary(*refs: Object) -> Canary:
    """A Canary whose routes are its user's."""
    return basket("istio", service={"port": 80, "routeRefs": list(refs or (REF,))})


def router(canary: Canary | None = None) -> Router:
    found = router_of(canary or a_canary(), "istio")
    assert found is not None
    return found


def to(host: str, weight: int | None = None, **more: Any) -> Object:
    """A destination."""
    return {"destination": {"host": host}, **({} if weight is None else {"weight": weight}), **more}


def theirs(*lists: list[Object], **metadata: Any) -> Object:
    """A VirtualService that a user wrote, with an HTTP rule for each list of destinations."""
    return {
        "apiVersion": REF["apiVersion"],
        "kind": "VirtualService",
        "metadata": {"name": "theirs", "namespace": SHOP, **metadata},
        "spec": {"hosts": ["basket"], "http": [{"timeout": "5s", "route": entries} for entries in lists]},
    }


def moved(route: Object, split: Split, canary: Canary | None = None) -> Object:
    """The route as it is after a move."""
    place = Place(VIRTUAL_SERVICE, SHOP, "theirs")
    (wanted,) = router(canary).desired(canary or a_canary(), split, {place: route})
    after: Object = overlay(route, wanted)
    if not after["metadata"].get("annotations", True):
        after["metadata"].pop("annotations")  # as a server stores it
    return after


def read(route: Object) -> Split:
    return router().split_of(a_canary(), {Place(VIRTUAL_SERVICE, SHOP, "theirs"): route})


def weights(route: Object) -> list[list[int | None]]:
    return [[entry.get("weight") for entry in rule["route"]] for rule in route["spec"]["http"]]


@pytest.mark.parametrize(
    ("written", "split", "expected"),
    [
        pytest.param([(100, 0)], Split(30), [[70, 30]], id="in percent"),
        pytest.param([(1, 0)], Split(30), [[70, 30]], id="in other units"),
        pytest.param([(None, None)], Split(30), [[70, 30]], id="left out"),
        pytest.param([(100, None), (None, 0)], AWAY, [[0, 100], [0, 100]], id="in several rules"),
        pytest.param([(100, None), (1, 0)], HOME, [[100, None], [1, 0]], id="home already"),
        pytest.param([(60, 40)], HOME, [[100, 0]], id="nobody serves the canary's share"),
    ],
)
def test_both_sides_share_what_they_have(
    written: list[tuple[int | None, int | None]], split: Split, expected: list[list[int | None]]
) -> None:
    """The two weights in every list that has both sides, whatever units the user chose."""
    lists = [[to(PRIMARY[0], one), to(CANARY[0], other)] for one, other in written]

    after = moved(theirs(*lists), split)

    assert weights(after) == expected
    assert read(after) == split


def test_the_share_of_others_stays() -> None:
    """A third destination keeps its part: the two sides divide theirs."""
    route = theirs([to("legacy", 20), to(PRIMARY[0], 80), to(CANARY[0])])

    after = moved(route, Split(25))

    assert weights(after) == [[20, 60, 20]]
    assert read(after) == Split(25)


def test_a_share_that_weights_cannot_express_is_remembered() -> None:
    """A run climbs by what it asked for, not by what was left of it after rounding."""
    after = moved(theirs([to("legacy", 93), to(PRIMARY[0], 7), to(CANARY[0])]), Split(33))

    assert weights(after) == [[93, 5, 2]]
    assert read(after) == Split(33)


def test_subsets_of_a_side_keep_their_proportions() -> None:
    """A side may have several destinations."""
    route = theirs([to(PRIMARY[0], 75), to(PRIMARY[1], 25), to(CANARY[0], 0), to(CANARY[1], 0)])

    assert weights(moved(route, Split(40))) == [[45, 15, 20, 20]]


def test_rules_of_one_side_alone_are_the_users() -> None:
    """A rule that sends some requests to one side is meant that way."""
    route = theirs([to(CANARY[0])], [to(PRIMARY[0], 50), to("legacy", 50)], [to(PRIMARY[0]), to(CANARY[0])])

    assert weights(moved(route, Split(10))) == [[None], [50, 50], [90, 10]]


def test_a_service_of_another_namespace_is_another_service() -> None:
    """A short name counts in the namespace of the route, not of the Canary."""
    route = theirs([to(PRIMARY[0]), to(CANARY[0])])
    elsewhere = {**route, "metadata": {**route["metadata"], "namespace": "edge"}}
    canary = a_canary({**REF, "namespace": "edge"})

    with pytest.raises(RouteError, match=r"VirtualService theirs\.edge has no list of destinations"):
        router(canary).split_of(canary, {Place(VIRTUAL_SERVICE, "edge", "theirs"): elsewhere})


@pytest.mark.parametrize("split", [Split(10), Split(37), AWAY], ids=str)
def test_comes_back_as_it_was(split: Split) -> None:
    """Weights that were left out are left out again, and no trace is left."""
    route = theirs([to(PRIMARY[1], 100), to(CANARY[2])], [to(PRIMARY[0]), to(CANARY[0])])

    assert moved(moved(moved(route, split), Split(50)), HOME) == route


def test_users_weights_applied_again_in_mid_run() -> None:
    """A GitOps tool that puts the weights back doesn't start the run over; what it wrote is still known."""
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])])
    applied = {**moved(route, Split(30)), "spec": route["spec"]}

    assert read(applied) == Split(30)
    assert weights(moved(applied, Split(30))) == [[70, 30]]
    assert moved(applied, HOME) == route


def test_weights_moved_by_hand_in_mid_run_count() -> None:
    """The run goes on from there, and the user's own weights still come back."""
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])])
    after = moved(route, Split(30))
    after["spec"]["http"][0]["route"] = [to(PRIMARY[0], 50), to(CANARY[0], 50)]

    assert read(after) == Split(50)
    assert moved(after, HOME) == route


def test_rules_edited_in_mid_run() -> None:
    """A rule put before ours, another time limit: each list is found again."""
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])], [to(PRIMARY[0], 7), to("legacy", 1), to(CANARY[0])])
    after = moved(route, Split(50))
    first, second = after["spec"]["http"]
    after["spec"]["http"] = [{"route": [to("new")]}, {**first, "timeout": "9s"}, second]

    home = moved(after, HOME)

    assert weights(home) == [[None], [100, None], [7, 1, None]]
    assert USERS_WEIGHTS not in annotations_of(home)


def test_two_canaries_share_a_route() -> None:
    """Each keeps its own, and the last one takes the annotation away."""
    other = basket("istio", service={"port": 80, "routeRefs": [REF], "name": "checkout"})
    other = replace(other, metadata=replace(other.metadata, name="checkout"))
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])], [to("checkout-primary"), to("checkout-canary", 0)])

    both = moved(moved(route, Split(20)), Split(60), other)

    assert weights(both) == [[80, 20], [40, 60]]
    assert json.loads(annotations_of(both)[USERS_WEIGHTS]).keys() == {"shop/basket", "shop/checkout"}
    assert moved(moved(both, HOME), HOME, other) == route


def names(spellings: tuple[str, ...]) -> SearchStrategy[str]:
    return st.sampled_from(spellings)


numbers = st.none() | st.integers(0, 100)
subsets = st.dictionaries(st.just("subset"), st.sampled_from(["v1", "v2"]))


@st.composite
def entries(draw: st.DrawFn) -> Object:
    """A destination of some host, with or without weight, port and headers."""
    host = draw(names((*PRIMARY, *CANARY, "legacy", "basket-primary.other", "example.com")))
    entry = to(
        host, draw(numbers), **draw(st.sampled_from([{}, {"headers": {"request": {"set": {"a": "b"}}}}]))
    )
    entry["destination"] |= draw(subsets)
    return entry


rules = st.fixed_dictionaries(
    {"route": st.lists(entries(), min_size=1, max_size=5)},
    optional={"timeout": st.just("3s"), "match": st.just([{"uri": {"prefix": "/a"}}])},
)


@st.composite
def virtual_services(draw: st.DrawFn) -> Object:
    """Anything that users may have; one list at least has both sides."""
    both = [to(draw(names(PRIMARY)), draw(numbers)), to(draw(names(CANARY)), draw(numbers))]
    sure = {"route": draw(st.permutations([*both, *draw(st.lists(entries(), max_size=2))]))}
    spec: Object = {"hosts": ["basket"], draw(st.sampled_from(["http", "tcp", "tls"])): [sure]}
    for section in draw(st.sets(st.sampled_from(["http", "tcp", "tls"]))):
        spec[section] = [*spec.get(section, []), *draw(st.lists(rules, max_size=3))]
    metadata = draw(st.sampled_from([{}, {"annotations": {"a": "b"}, "labels": {"c": "d"}}]))
    return {**theirs(**metadata), "spec": spec}


def without_weights(value: Any) -> Any:
    """The same without any weight and without what we remember."""
    match value:
        case dict():
            kept = {
                key: without_weights(item)
                for key, item in value.items()
                if key not in ("weight", USERS_WEIGHTS)
            }
            return {key: item for key, item in kept.items() if (key, item) != ("annotations", {})}
        case list():
            return [without_weights(item) for item in value]
    return value


@given(virtual_services(), st.lists(st.integers(1, 100), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_route_keeps_all_but_the_weights(route: Object, course: list[int]) -> None:
    """Through a run of any course nothing but weights differs, and in the end nothing at all."""
    before, now = copy.deepcopy(route), route
    for weight in course:
        now = moved(now, Split(weight))
        assert without_weights(now) == without_weights(before)
        assert moved(now, Split(weight)) == now

    place = Place(VIRTUAL_SERVICE, SHOP, "theirs")
    back = router().handed_back(a_canary(), {place: now}).get(place) or now
    if not back["metadata"].get("annotations", True):
        back["metadata"].pop("annotations")

    assert route == before
    assert back == before
    if read(before) == HOME and moved(before, HOME) == before:
        assert moved(now, HOME) == before


async def test_a_run_on_a_server(lab: Lab) -> None:
    """One write a step, none when nothing differs, and the object as before in the end."""
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])], labels={"theirs": "1"})
    before = await lab.client.create(VIRTUAL_SERVICE, route)
    routes, canary = Routes(lab.cluster), a_canary()
    await routes.reconcile(canary, router(), HOME)
    assert lab.writes() == []

    for split in (Split(20), Split(50), Split(50), HOME):
        await routes.reconcile(canary, router(), split)
        assert await routes.split(canary, router()) == split

    after = await lab.get(VIRTUAL_SERVICE, "theirs")
    assert lab.writes() == ["PATCH virtualservices/theirs"] * 3
    varying = ("resourceVersion", "generation", "managedFields")
    for obj in (before, after):
        for field in varying:
            obj["metadata"].pop(field, None)
    assert after == before


async def test_handing_back_in_mid_run(lab: Lab) -> None:
    """A Canary that is deleted leaves its user's weights behind; one that holds nothing writes nothing."""
    route = theirs([to(PRIMARY[0], 100), to(CANARY[0])])
    await lab.client.create(VIRTUAL_SERVICE, route)
    routes, canary = Routes(lab.cluster), a_canary()
    await routes.reconcile(canary, router(), Split(20))

    for _ in range(2):
        await routes.hand_back(canary, router())

    assert (await lab.get(VIRTUAL_SERVICE, "theirs"))["spec"] == route["spec"]
    assert lab.writes() == ["PATCH virtualservices/theirs"] * 2


@pytest.mark.parametrize(
    ("route", "message"),
    [
        pytest.param(
            None,
            r"VirtualService theirs\.shop not found: spec\.service\.routeRefs of basket\.shop",
            id="missing",
        ),
        pytest.param(
            theirs([to("basket")]),
            r"VirtualService theirs\.shop has no list of destinations \(spec\.http\.\*\.route or .*\) with both "
            "basket-primary and basket-canary",
            id="neither side",
        ),
        pytest.param(theirs([to(PRIMARY[0])]), "with both", id="one side"),
        pytest.param({**theirs(), "spec": {}}, "with both", id="nothing in it"),
        pytest.param(
            theirs([to(PRIMARY[0]), to(CANARY[0])], annotations={USERS_WEIGHTS: "{"}),
            rf"theirs\.shop: annotation {USERS_WEIGHTS}: .*remove it",
            id="an annotation that is no JSON",
        ),
        pytest.param(
            theirs([to(PRIMARY[0]), to(CANARY[0])], annotations={USERS_WEIGHTS: '{"shop/basket": 1}'}),
            "is not what was kept there",
            id="an annotation of somebody else",
        ),
    ],
)
async def test_routes_that_cannot_be_used(lab: Lab, route: Object | None, message: str) -> None:
    """The message says which object, which field and what to do; nothing is made or written."""
    if route is not None:
        await lab.client.create(VIRTUAL_SERVICE, route)
    routes, canary = Routes(lab.cluster), a_canary()

    for act in (routes.split(canary, router()), routes.reconcile(canary, router(), HOME)):
        with pytest.raises(RouteError, match=message):
            await act

    assert lab.writes() == []


def test_only_weights_are_offered() -> None:
    """What isn't a weight is the user's, so no strategy that needs more is accepted."""
    assert router().features == {Feature.WEIGHTS}


@pytest.mark.parametrize(
    ("ref", "provider", "problem"),
    [
        pytest.param({**REF, "kind": "Ingress"}, "istio", "can't move weights in a Ingress", id="kind"),
        pytest.param({**REF, "apiVersion": "example.com/v1"}, "istio", "of example.com/v1", id="group"),
        pytest.param(REF, "linkerd", "provider linkerd can't move weights", id="provider"),
    ],
)
def test_routes_of_other_kinds(ref: Object, provider: str, problem: str) -> None:
    """A kind that nobody can move weights in is refused, by name."""
    canary = basket(provider, service={"port": 80, "routeRefs": [ref]})

    assert router_of(canary, "istio") is None
    error = unrouted(canary, "istio")
    assert (error.field, problem in error.problem) == ("spec.service.routeRefs", True)


def annotated(text: str) -> Object:
    return {
        "metadata": {"name": "basket", "namespace": SHOP, "annotations": {ROUTE_REFS: text}},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "basket"},
            "service": {"port": 80},
            "analysis": {"interval": "30s", "threshold": 1, "stepWeight": 10},
        },
    }


def test_the_annotation_says_the_same() -> None:
    """For clusters whose CRD drops the field."""
    canary = Canary.parse(annotated(json.dumps([REF])))

    assert canary.route_refs == a_canary().route_refs
    assert router(canary).places(canary) == (Place(VIRTUAL_SERVICE, SHOP, "theirs"),)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"kind": "VirtualService"}]'])
def test_an_annotation_that_says_nothing(text: str) -> None:
    """The error names the annotation, and what belongs there."""
    with pytest.raises(FieldError, match=rf"metadata\.annotations\[{ROUTE_REFS}\]: .*write a JSON list"):
        Canary.parse(annotated(text))
