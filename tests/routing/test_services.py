"""The three Services of a Canary, on a real API."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import SERVICE, Object, annotations_of, labels_of
from flagger.rollout.state import Selector
from flagger.routing.services import Services
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import OWNER, basket

SELECTOR = Selector("app", "basket")
PORTS = {"metrics": 9797, "grpc": 9000}
HTTP = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}


def a_canary(**service: Any) -> Canary:
    return basket("kubernetes", service={"port": 80, "targetPort": 8080, **service})


async def made(lab: Lab, canary: Canary, ports: dict[str, int] | None = None) -> list[Object]:
    """Apex, primary and canary Service of a Canary as stored."""
    services = Services(lab.cluster)
    await services.backends(canary, SELECTOR, ports or {})
    await services.apex(canary, SELECTOR, ports or {})
    return [await lab.get(SERVICE, name) for name in canary.service_names]


def their_service(**spec: Any) -> Object:
    """A Service that was there before the Canary."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "basket", "namespace": SHOP, "labels": {"o": "l"}, "annotations": {"own": "a"}},
        "spec": {"selector": {"app": "basket", "tier": "x"}, "ports": [{**HTTP, "nodePort": 30080}], **spec},
    }


async def test_as_documented(lab: Lab) -> None:
    """Names, selectors, ports, metadata and owner of all three."""
    canary = a_canary(appProtocol="http", apex={"labels": {"team": "pay"}, "annotations": {"note": "n"}})

    apex, primary, candidate = await made(lab, canary, PORTS)

    more = [
        {"name": "grpc", "port": 9000, "protocol": "TCP", "targetPort": 9000},
        {"name": "metrics", "port": 9797, "protocol": "TCP", "targetPort": 9797},
    ]
    for service in (apex, primary, candidate):
        assert service["spec"]["type"] == "ClusterIP"
        assert service["spec"]["ports"] == [{**HTTP, "appProtocol": "http"}, *more]
        assert service["metadata"]["ownerReferences"] == [OWNER]
    assert apex["spec"]["selector"] == primary["spec"]["selector"] == {"app": "basket-primary"}
    assert candidate["spec"]["selector"] == {"app": "basket"}
    assert labels_of(apex) == {"app": "basket", "team": "pay"}
    assert labels_of(primary) == {"app": "basket-primary"}
    assert labels_of(candidate) == {"app": "basket-canary"}
    assert annotations_of(apex) == {"note": "n", **GITOPS_IGNORE}
    assert annotations_of(primary) == annotations_of(candidate) == GITOPS_IGNORE


async def test_another_name(lab: Lab) -> None:
    """`service.name` names the Services; pods are still found by the target's label."""
    apex, _, candidate = await made(lab, a_canary(name="co"))

    assert [service["metadata"]["name"] for service in (apex, candidate)] == ["co", "co-canary"]
    assert (labels_of(candidate), candidate["spec"]["selector"]) == ({"app": "co-canary"}, {"app": "basket"})


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param({"targetPort": "web"}, {**HTTP, "targetPort": "web"}, id="target port by name"),
        pytest.param({"targetPort": 0}, {**HTTP, "targetPort": 80}, id="no target port"),
        pytest.param({"portName": "grpc-web"}, {**HTTP, "name": "grpc-web"}, id="port name"),
    ],
)
async def test_main_port(lab: Lab, service: dict[str, Any], expected: Object) -> None:
    """The main port as the Canary describes it."""
    apex, *_ = await made(lab, a_canary(**service))

    assert apex["spec"]["ports"] == [expected]


async def test_headless(lab: Lab) -> None:
    """Without a cluster address, on request."""
    apex, *_ = await made(lab, a_canary(headless=True))

    assert apex["spec"]["clusterIP"] == "None"


async def test_traffic_distribution(lab: Lab) -> None:
    """Handed on when a Service is made."""
    apex, *_ = await made(lab, a_canary(trafficDistribution="PreferClose"))

    assert apex["spec"]["trafficDistribution"] == "PreferClose"


async def test_nothing_is_written_when_nothing_differs(lab: Lab) -> None:
    """What the server fills in (addresses, families, policies) is no difference."""
    await made(lab, a_canary(), PORTS)
    lab.sent.clear()

    services = Services(lab.cluster)
    await services.backends(a_canary(), SELECTOR, PORTS)
    await services.apex(a_canary(), SELECTOR, PORTS)

    assert lab.sent == []


async def test_ports_and_selector_are_corrected(lab: Lab) -> None:
    """By one patch; what the server allocated stays."""
    (before, *_) = await made(lab, a_canary())
    wrong = {"selector": {"app": "other", "tier": "x"}, "ports": [{**HTTP, "port": 81}]}
    await lab.change(SERVICE, {"spec": wrong}, "basket")
    lab.sent.clear()

    (after, *_) = await made(lab, a_canary())

    assert lab.writes() == ["PATCH services/basket"]
    assert after["spec"] == before["spec"]


async def test_a_port_more(lab: Lab) -> None:
    """A change of the Canary reaches all three Services."""
    await made(lab, a_canary())
    lab.sent.clear()

    services = await made(lab, a_canary(), PORTS)

    assert {len(service["spec"]["ports"]) for service in services} == {3}
    assert sorted(lab.writes()) == [
        f"PATCH services/{name}" for name in ("basket", "basket-canary", "basket-primary")
    ]


async def test_adoption(lab: Lab) -> None:
    """A Service that was there keeps its type, node port, affinity and metadata; users follow to the primary."""
    before = await lab.add(their_service(type="NodePort", sessionAffinity="ClientIP"))

    (after, *_) = await made(lab, a_canary())

    assert after["spec"] == {**before["spec"], "selector": {"app": "basket-primary"}}
    assert after["spec"]["ports"] == [{**HTTP, "nodePort": 30080}]
    assert labels_of(after) == {"o": "l"}
    assert annotations_of(after) == {"own": "a", **GITOPS_IGNORE}
    assert "ownerReferences" not in after["metadata"]


async def test_another_port_name_of_an_adopted_service(lab: Lab) -> None:
    """Its node port is the server's business; whatever that decides, the change is written once."""
    await lab.add(their_service(type="NodePort", ports=[{**HTTP, "name": "web", "nodePort": 30081}]))

    (first, *_) = await made(lab, a_canary())
    lab.sent.clear()
    await made(lab, a_canary())

    assert first["spec"]["ports"][0]["name"] == "http"
    assert lab.sent == []


async def test_a_service_that_fits_is_left_alone(lab: Lab) -> None:
    """No mark is put on somebody else's Service that needs no change."""
    await lab.add(their_service(selector={"app": "basket-primary"}, ports=[HTTP]))

    (after, *_) = await made(lab, a_canary())

    assert annotations_of(after) == {"own": "a"}


async def test_metadata_of_others_survives(lab: Lab) -> None:
    """Cloud controllers write into Services; what we declare is put back beside it."""
    canary = a_canary(apex={"annotations": {"note": "n"}})
    await made(lab, canary)
    theirs = {"annotations": {"theirs": "1", "note": "changed"}, "labels": {"theirs": "2", "app": None}}
    await lab.change(SERVICE, {"metadata": theirs}, "basket")

    (after, *_) = await made(lab, canary)

    assert annotations_of(after) == {"theirs": "1", "note": "n", **GITOPS_IGNORE}
    assert labels_of(after) == {"theirs": "2", "app": "basket"}


async def test_unmanaged_metadata(lab: Lab) -> None:
    """Keys that the Canary leaves to others keep their live values, where there are any."""
    unmanaged = {"annotations": ["note", "mark"], "labels": ["team"]}
    metadata = {"annotations": {"note": "ours", "mark": "ours"}, "labels": {"team": "ours"}}
    canary = a_canary(apex=metadata, unmanagedMetadata=unmanaged)
    await made(lab, canary)
    theirs = {"annotations": {"note": "theirs", "mark": None}, "labels": {"team": "theirs"}}
    await lab.change(SERVICE, {"metadata": theirs}, "basket")

    (after, *_) = await made(lab, canary)

    assert annotations_of(after) == {"note": "theirs", "mark": "ours", **GITOPS_IGNORE}
    assert labels_of(after)["team"] == "theirs"


async def test_a_conflict_is_tried_again(lab: Lab) -> None:
    """Somebody who writes at the same moment costs a repetition, no error."""
    await made(lab, a_canary())
    await lab.client.patch(SERVICE, "basket", SHOP, {"spec": {"selector": {"app": "x"}}})

    (after, *_) = await made(lab, a_canary(portName="web"))

    assert (after["spec"]["ports"][0]["name"], after["spec"]["selector"]) == (
        "web",
        {"app": "basket-primary"},
    )
