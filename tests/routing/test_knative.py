"""Knative's router, which works on the target itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.canary import Canary
from flagger.kube.objects import CRD, Object, annotations_of
from flagger.rollout.state import HOME, Split
from flagger.routing.base import Place, RouteError
from flagger.routing.providers.knative import SERVICE
from flagger.routing.sync import Routes
from flagger.routing.table import router_for
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket, split
from tests.workloads.test_knative import a_definition

CASES = yaml.safe_load((Path(__file__).parents[1] / "golden/routing/knative.yaml").read_text())
ROUTER = router_for("knative")
PRIMARY, PREVIOUS = "flagger.app/primary-revision", "release.flagger.app/previous-primary-revision"
PINNED = [{"latestRevision": True, "percent": 20}, {"revisionName": "basket-00001", "percent": 80}]


def a_service(
    traffic: list[Object] | None = None, *, served: list[Object] | None = None, **annotations: str
) -> Object:
    """A Knative Service whose newest revision is the second one."""
    status: Object = {"latestCreatedRevisionName": "basket-00002"}
    return {
        "metadata": {"name": "basket", "namespace": SHOP, "annotations": annotations},
        "spec": {} if traffic is None else {"traffic": traffic},
        "status": status | ({} if served is None else {"traffic": served}),
    }


async def stored(lab: Lab, obj: Object) -> Canary:
    """The Service, and a Canary for it."""
    await lab.client.create(CRD, a_definition(SERVICE))
    metadata = {"name": "basket", "namespace": SHOP, **obj.get("metadata", {})}
    await lab.client.create(SERVICE, {"metadata": metadata, "spec": obj["spec"]})
    await lab.change(SERVICE, {"status": obj["status"]}, "basket", subresource="status")
    return basket("knative")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_as_documented(lab: Lab, case: dict[str, Any]) -> None:
    """Two shares, the newest revision first; a second time nothing is written."""
    before = case["before"]
    canary = await stored(lab, {**before, "metadata": {"annotations": before.get("annotations", {})}})

    await Routes(lab.cluster).reconcile(canary, ROUTER, split(case["split"]))

    after = await lab.get(SERVICE, "basket")
    assert {"annotations": annotations_of(after), "spec": after["spec"]} == case["after"]
    assert "ownerReferences" not in after["metadata"]
    assert await Routes(lab.cluster).split(canary, ROUTER) == split(case["split"])
    lab.sent.clear()
    await Routes(lab.cluster).reconcile(canary, ROUTER, split(case["split"]))
    assert lab.writes() == []


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param(a_service(PINNED, **{PRIMARY: "basket-00001"}), 20, id="Knative has said nothing yet"),
        pytest.param(a_service(PINNED, served=PINNED, **{PRIMARY: "basket-00001"}), 20, id="as written"),
        pytest.param(
            a_service(
                PINNED,
                served=[
                    {"latestRevision": True, "revisionName": "basket-00002", "percent": 20},
                    {"latestRevision": False, "revisionName": "basket-00001", "percent": 80},
                ],
                **{PRIMARY: "basket-00002"},
            ),
            20,
            id="just promoted: the newest revision is the primary, too",
        ),
        pytest.param(
            a_service([PINNED[0] | {"percent": None}, PINNED[1] | {"percent": 100}], **{PRIMARY: "b"}),
            0,
            id="no number",
        ),
    ],
)
def test_the_split(service: Object, expected: int) -> None:
    """The share of the newest revision, whatever the other one is."""
    assert ROUTER.split_of(basket("knative"), {Place(SERVICE, SHOP, "basket"): service}) == Split(expected)


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        pytest.param(a_service(PINNED), "has no annotation flagger.app/primary-revision", id="no primary"),
        pytest.param(a_service(**{PRIMARY: "b"}), "spec.traffic must be the newest", id="no traffic"),
        pytest.param(
            a_service(PINNED[:1], **{PRIMARY: "b"}), "spec.traffic must be the newest", id="one share"
        ),
        pytest.param(
            a_service([PINNED[0], {**PINNED[1], "percent": 70}], **{PRIMARY: "b"}),
            "spec.traffic must be",
            id="not a whole",
        ),
    ],
)
def test_no_split(service: Object, problem: str) -> None:
    """What is missing is named."""
    with pytest.raises(RouteError, match=rf"Service basket\.shop {problem}"):
        ROUTER.split_of(basket("knative"), {Place(SERVICE, SHOP, "basket"): service})


def test_knative_lags_behind() -> None:
    """What it still serves is said, and what is asked for is known."""
    served = [{**PINNED[0], "percent": 0}, {**PINNED[1], "percent": 100}]
    service = a_service(PINNED, served=served, **{PRIMARY: "basket-00001"})

    with pytest.raises(RouteError, match="with 0 %, its spec asks for 20 %") as caught:
        ROUTER.split_of(basket("knative"), {Place(SERVICE, SHOP, "basket"): service})

    assert caught.value.written == Split(20)


def test_nothing_is_made() -> None:
    """A Service that is gone is not replaced, and one without a revision waits."""
    with pytest.raises(RouteError, match=r"Service basket\.shop not found"):
        ROUTER.desired(basket("knative"), HOME, {})
    empty = {"metadata": {"name": "basket", "namespace": SHOP}, "spec": {}}
    with pytest.raises(RouteError, match=r"Service basket\.shop has no revision yet"):
        ROUTER.desired(basket("knative"), HOME, {Place(SERVICE, SHOP, "basket"): empty})


async def test_the_way_back(lab: Lab) -> None:
    """Our notes go; traffic stays where it is, and so do annotations of others."""
    notes = {PRIMARY: "basket-00001", PREVIOUS: "basket-00000", "own": "a"}
    canary = await stored(lab, a_service(PINNED, **notes))

    await Routes(lab.cluster).hand_back(canary, ROUTER)
    await Routes(lab.cluster).hand_back(canary, ROUTER)

    after = await lab.get(SERVICE, "basket")
    assert annotations_of(after) == {"own": "a"}
    assert after["spec"]["traffic"] == PINNED
    assert [request.method for request in lab.sent if not request.is_read] == ["PATCH"]
