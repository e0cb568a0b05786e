"""What is peculiar to Istio."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE, LAST_APPLIED, ORIGINAL_CONFIGURATION, ORIGINAL_METADATA
from flagger.kube.objects import Kind, Object, annotations_of, labels_of
from flagger.rollout.state import AWAY, HOME, Feature, Split
from flagger.routing.base import Place, RouteError, Router
from flagger.routing.overlay import overlay
from flagger.routing.sync import Routes
from flagger.routing.table import router_of
from tests.fakes.cluster import SHOP, VIRTUAL_SERVICE, Lab, a_lab, the_definitions
from tests.routing.examples import split

GOLDEN = Path(__file__).parents[1] / "golden/routing/istio"
CASES = yaml.safe_load((GOLDEN / "virtualservices.yaml").read_text())
RULE = yaml.safe_load((GOLDEN / "destinationrule.yaml").read_text())
TAKEN = yaml.safe_load((GOLDEN / "takeover.yaml").read_text())
DESTINATION_RULE = Kind("networking.istio.io", "v1beta1", "DestinationRule", "destinationrules")
PLACE = Place(VIRTUAL_SERVICE, SHOP, "checkout")
BARE = {"port": 80}
FULL = {
    **BARE,
    "targetPort": 8080,
    "hosts": ["checkout.example.com"],
    "gateways": ["istio-system/public-gateway", "mesh"],
    "timeout": "5s",
    "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error,connect-failure"},
    "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
}
(OWNER,) = RULE["metadata"]["ownerReferences"]


def checkout(
    service: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    *,
    bare: bool = False,
) -> Canary:
    """The Canary of the golden files, with changes."""
    given = {**(BARE if bare else FULL), **(service or {})}
    return Canary.parse(
        {
            "metadata": {"name": "checkout", "namespace": SHOP, "uid": OWNER["uid"]},
            "spec": {
                "provider": "istio",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
                "service": {name: value for name, value in given.items() if value is not None},
                "analysis": {"interval": "1m", "threshold": 5, **(analysis or {"stepWeight": 10})},
            },
            "status": dict(status or {}),
        }
    )


def router(canary: Canary) -> Router:
    found = router_of(canary, "kubernetes")
    assert found is not None
    return found


def of_case(case: Mapping[str, Any]) -> Canary:
    return checkout(
        case.get("service"), case.get("analysis"), case.get("status"), bare=case.get("bare", False)
    )


def made(canary: Canary, wanted: Split = HOME, live: Object | None = None) -> Object:
    """The VirtualService as it is laid over what is there."""
    (*_, desired) = router(canary).desired(canary, wanted, {} if live is None else {PLACE: live})
    after: Object = overlay(live, desired)
    return after


def read(canary: Canary, route: Object) -> Split:
    return router(canary).split_of(canary, {PLACE: route})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_virtual_service(case: dict[str, Any]) -> None:
    """The whole object as it is sent, and its split read back."""
    canary = of_case(case)

    route = made(canary, split(case["split"]))

    assert route == {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {
            "name": "checkout",
            "namespace": SHOP,
            "annotations": GITOPS_IGNORE,
            "ownerReferences": [OWNER],
        },
        "spec": case["spec"],
    }
    assert read(canary, route) == split(case["split"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_golden_objects_are_valid_and_stay(lab: Lab, case: dict[str, Any]) -> None:
    """The CRDs take every golden object whole, and it causes no further write."""
    canary = of_case(case)
    routes = Routes(lab.cluster)

    for _ in range(2):
        await routes.reconcile(canary, router(canary), split(case["split"]))

    assert lab.writes() == ["POST destinationrules", "POST destinationrules", "POST virtualservices"]
    assert (await lab.get(VIRTUAL_SERVICE))["spec"] == case["spec"]


def test_destination_rules() -> None:
    """One for each side, the canary's first, with the same policy and no marks."""
    canary = checkout()

    found = [overlay(None, rule) for rule in router(canary).desired(canary, HOME, {})[:2]]

    twin = copy.deepcopy(RULE)
    twin["metadata"]["name"] = twin["spec"]["host"] = "checkout-canary"
    assert found == [twin, RULE]


POLICY = {
    "connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE", "maxRetries": 0, "idleTimeout": "3s"}},
    "loadBalancer": {
        "consistentHash": {"httpCookie": {"name": "a", "ttl": "0s"}, "minimumRingSize": 1},
        "localityLbSetting": {"enabled": False, "distribute": [{"from": "a/*", "to": {"a/b": 100}}]},
    },
    "outlierDetection": {"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": False},
}


@pytest.mark.parametrize("policy", [POLICY, {}, None], ids=["full", "empty", "none"])
async def test_traffic_policies_reach_the_rules(lab: Lab, policy: Object | None) -> None:
    """As they are written, zeros included; what is taken out of the Canary leaves the rules."""
    canary = checkout({"trafficPolicy": policy})
    routes = Routes(lab.cluster)

    for one in (checkout(), canary):
        await routes.reconcile(one, router(one), HOME)

    assert (await lab.get(DESTINATION_RULE, "checkout-primary"))["spec"].get("trafficPolicy") == policy


async def test_a_rule_of_the_users_keeps_its_policy(lab: Lab) -> None:
    """A DestinationRule that was there keeps what the Canary says nothing about."""
    policy = {"tls": {"mode": "SIMPLE"}}
    theirs = {"metadata": {"name": "checkout-canary", "namespace": SHOP}}
    spec = {"host": "checkout-canary", "trafficPolicy": policy, "subsets": [{"name": "a"}]}
    await lab.client.create(DESTINATION_RULE, {**theirs, "spec": spec})
    canary = checkout(bare=True)

    await Routes(lab.cluster).reconcile(canary, router(canary), HOME)

    assert (await lab.get(DESTINATION_RULE, "checkout-canary"))["spec"] == spec


@pytest.mark.parametrize(
    ("canary", "features"),
    [
        pytest.param(checkout(), set(Feature), id="HTTP"),
        pytest.param(checkout({"appProtocol": "TCP"}), {Feature.WEIGHTS}, id="TCP"),
    ],
)
def test_features(canary: Canary, features: set[Feature]) -> None:
    """Connections can be divided and nothing else, so that no strategy that needs more is begun."""
    assert router(canary).features == features


@pytest.mark.parametrize("field", ["hosts", "gateways"])
async def test_a_delegate_has_no_hosts_of_its_own(lab: Lab, field: str) -> None:
    """Nothing is written into a VirtualService that could never be a delegate."""
    canary = checkout({"delegation": True, field: ["a"]}, bare=True)

    with pytest.raises(RouteError, match=r"spec\.service\.delegation of checkout\.shop .*hosts or gateways"):
        await Routes(lab.cluster).reconcile(canary, router(canary), HOME)
    assert lab.writes() == []


@pytest.mark.parametrize(
    ("hosts", "kept"),
    [([], []), (None, None), (["theirs"], [])],
    ids=["empty", "dropped by a client", "written by somebody"],
)
def test_hosts_of_a_delegate(hosts: list[str] | None, kept: list[str] | None) -> None:
    """None, in whatever form; a host would make it a route of its own."""
    canary = checkout({"delegation": True}, bare=True)
    live = made(canary)
    live["spec"] = {
        name: value for name, value in {**live["spec"], "hosts": hosts}.items() if value is not None
    }

    assert made(canary, HOME, live)["spec"].get("hosts") == kept


def a_route(*routes: Object, section: str = "http") -> Object:
    return {**made(checkout()), "spec": {section: list(routes)}}


def to(**weights: int | None) -> Object:
    """A route to some hosts, whose names are written with underscores."""
    entries = [
        {"destination": {"host": f"checkout-{name}".replace("_", ".")}}
        | ({} if weight is None else {"weight": weight})
        for name, weight in weights.items()
    ]
    return {"route": entries}


@pytest.mark.parametrize(
    ("route", "found"),
    [
        pytest.param(to(primary=7, canary=3), Split(30), id="not in percent"),
        pytest.param(to(primary=None, canary=None), HOME, id="weights left out are 0"),
        pytest.param(to(canary=100, primary=0), AWAY, id="in another order"),
        pytest.param(to(primary_shop=70, canary_shop_svc_cluster_local=30), Split(30), id="whole names"),
        pytest.param(to(primary=70, canary=30) | {"mirror": {"host": "x"}}, Split(30), id="another mirror"),
    ],
)
def test_weights_of_others(route: Object, found: Split) -> None:
    """Weights are shares, whoever wrote them and however the Services are spelt."""
    assert read(checkout(), a_route(to(primary=1), route, to(canary_elsewhere=1))) == found


@pytest.mark.parametrize(
    "route",
    [a_route(to(primary=100)), a_route(to(primary=1, canary_other=1)), a_route(section="tcp"), a_route()],
    ids=["one side", "another namespace", "another section", "no route"],
)
def test_a_route_without_both_sides(route: Object) -> None:
    """A damaged or foreign route is no split of 100/0."""
    with pytest.raises(
        RouteError,
        match=r"VirtualService checkout\.shop has no route in spec\.http with checkout-primary and",
    ):
        read(checkout(), route)


def test_fields_of_others_survive() -> None:
    """What we know nothing of stays in the object and in every route that is made of ours."""
    canary = checkout(
        analysis={"stepWeight": 10, "sessionAffinity": {"cookieName": "c"}},
        status={"sessionAffinityCookie": "c=abc"},
    )
    live = made(canary)
    live["spec"] |= {"exportTo": ["."], "tls": [{"match": [{"sniHosts": ["a"]}]}]}
    live["spec"]["http"][0] |= {"name": "main", "fault": {"delay": {"fixedDelay": "1s"}}}

    after = made(canary, Split(10), live)["spec"]

    assert (after["exportTo"], after["tls"]) == (["."], live["spec"]["tls"])
    assert [route["name"] for route in after["http"]] == ["main", "main"]
    assert after["http"][1]["fault"] == {"delay": {"fixedDelay": "1s"}}


@pytest.mark.parametrize("less", [{"headers": None}, {"match": None}, {"timeout": None, "retries": None}])
def test_what_is_taken_out_of_the_canary_leaves_the_route(less: Object) -> None:
    """A corrected route is the same as one that is made anew."""
    more = {"headers": {"request": {"set": {"a": "b"}}}, "match": [{"headers": {"a": {"exact": "b"}}}]}
    before = made(checkout(more), Split(20))

    assert made(checkout({**more, **less}), Split(20), before) == made(checkout({**more, **less}), Split(20))


def test_a_change_of_protocol_replaces_the_routes() -> None:
    """HTTP routes don't stay behind TCP routes, nor the other way round."""
    over = checkout({"appProtocol": "tcp"})

    assert made(over, Split(20), made(checkout(), Split(20)))["spec"] == made(over, Split(20))["spec"]
    assert made(checkout(), HOME, made(over))["spec"] == made(checkout())["spec"]


APEX = {"apex": {"labels": {"team": "ours"}}}


async def a_taken_route(lab: Lab, **metadata: Any) -> Object:
    """A VirtualService of a user's that has become ours, in mid-run; returns it as it was."""
    theirs = copy.deepcopy(TAKEN["before"])
    theirs["metadata"]["annotations"] |= metadata
    before = await lab.client.create(VIRTUAL_SERVICE, theirs)
    canary = checkout(APEX)
    for wanted in (HOME, Split(20)):
        await Routes(lab.cluster).reconcile(canary, router(canary), wanted)
    return before


async def test_taking_over(lab: Lab) -> None:
    """The routes become ours, everything else stays, and what was there is noted once."""
    before = await a_taken_route(lab)

    after = await lab.get(VIRTUAL_SERVICE)

    assert after["spec"] == made(checkout(APEX), Split(20))["spec"] | {"tls": before["spec"]["tls"]}
    assert labels_of(after) == {**labels_of(before), "team": "ours"}
    assert annotations_of(after) == {**GITOPS_IGNORE, **TAKEN["notes"]}
    assert "ownerReferences" not in after["metadata"]


async def test_handing_back(lab: Lab) -> None:
    """The object is what it was, down to weights that were left out and to its metadata."""
    before = await a_taken_route(lab)
    canary = checkout(APEX)

    for _ in range(2):
        await Routes(lab.cluster).hand_back(canary, router(canary))

    after = await lab.get(VIRTUAL_SERVICE)
    assert after["spec"] == before["spec"]
    assert (labels_of(after), annotations_of(after)) == (labels_of(before), annotations_of(before))
    assert len([write for write in lab.writes() if "virtualservices" in write]) == 3


async def test_what_kubectl_applied_last_is_given_back(lab: Lab) -> None:
    """It is what the user wants; it is not noted twice."""
    wanted = {"hosts": ["new"], "http": [to(primary=None)]}
    await a_taken_route(lab, **{LAST_APPLIED: json.dumps({"spec": wanted})})
    canary = checkout(APEX)
    assert ORIGINAL_CONFIGURATION not in annotations_of(await lab.get(VIRTUAL_SERVICE))

    await Routes(lab.cluster).hand_back(canary, router(canary))

    after = await lab.get(VIRTUAL_SERVICE)
    assert after["spec"] == wanted
    assert annotations_of(after).keys() == {LAST_APPLIED, *TAKEN["before"]["metadata"]["annotations"]}


async def test_what_upstream_noted_is_given_back(lab: Lab) -> None:
    """A route that another operator took over comes back as that one noted it."""
    noted = {"hosts": ["checkout"], "http": [{"name": "orig", "route": to(primary=0)["route"]}]}
    await a_taken_route(lab, **{ORIGINAL_CONFIGURATION: json.dumps(noted)})
    canary = checkout(APEX)

    await Routes(lab.cluster).hand_back(canary, router(canary))

    assert (await lab.get(VIRTUAL_SERVICE))["spec"] == noted


@pytest.mark.parametrize("theirs", [True, False], ids=["nothing noted", "made for the Canary"])
async def test_nothing_to_hand_back(lab: Lab, theirs: bool) -> None:
    """A route that goes with its Canary is left alone, and so is one of which nothing is known."""
    canary = checkout()
    live = made(canary)
    if theirs:
        live["metadata"].pop("ownerReferences")
    await Routes(lab.cluster).hand_back(canary, router(canary))
    await lab.client.create(VIRTUAL_SERVICE, live)

    await Routes(lab.cluster).hand_back(canary, router(canary))

    assert lab.writes() == []


@pytest.mark.parametrize("text", ["{", "[]"])
@pytest.mark.parametrize("key", [LAST_APPLIED, ORIGINAL_CONFIGURATION])
def test_notes_that_cannot_be_read(key: str, text: str) -> None:
    """The message names object and annotation."""
    theirs = copy.deepcopy(TAKEN["before"])
    theirs["metadata"]["annotations"] = {key: text}

    with pytest.raises(
        RouteError, match=rf"VirtualService checkout\.shop: annotation {key} .*correct or remove"
    ):
        router(checkout()).handed_back(checkout(), {PLACE: theirs})


def test_our_own_route_is_never_noted() -> None:
    """What is put right in it was never a user's."""
    live = made(checkout())
    live["spec"]["hosts"] = ["damaged"]

    assert (
        not {ORIGINAL_CONFIGURATION, ORIGINAL_METADATA} & annotations_of(made(checkout(), HOME, live)).keys()
    )


def test_a_route_of_another_controller() -> None:
    """It is left alone; the message names both, and the way out."""
    live = made(checkout())
    live["metadata"]["ownerReferences"] = [{**OWNER, "name": "other", "uid": "another"}]

    with pytest.raises(
        RouteError, match=r"VirtualService checkout\.shop belongs to Canary other .*spec\.service\.name"
    ):
        made(checkout(), HOME, live)


async def test_a_cluster_without_istio() -> None:
    """The message says which kind is missing and what to do."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    async with a_lab(ours) as lab:
        with pytest.raises(
            RouteError, match=r"checkout\.shop .*doesn't serve virtualservices.*install its CRD"
        ):
            await Routes(lab.cluster).reconcile(checkout(), router(checkout()), HOME)
