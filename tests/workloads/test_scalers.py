"""The primary's copy of a HorizontalPodAutoscaler, on a real API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.kube.objects import HPA, Object, labels_of
from flagger.kube.transport import Request
from flagger.workloads.base import TargetError
from flagger.workloads.scalers import ensure_primary_scaler, working_size
from tests.fakes.cluster import SHOP, CountingTransport, Lab, a_canary, connection_to
from tests.fakes.scripted import Reply, ScriptedServer

CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}


def an_autoscaler(**spec: Any) -> Object:
    """The target's autoscaler: 2 to 8 replicas by CPU."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "checkout",
            "namespace": SHOP,
            "labels": {"team": "pay", "kustomize.toolkit.fluxcd.io/name": "apps"},
            "annotations": {"note": "hand-tuned"},
        },
        "spec": {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 8, "metrics": [CPU], **spec},
    }


def scaled(**limits: int) -> Canary:
    """A Canary with an autoscaler."""
    reference: Object = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "name": "checkout",
    }
    if limits:
        reference["primaryScalerReplicas"] = limits
    canary = a_canary(autoscalerRef=reference)
    canary["metadata"]["uid"] = "uid-of-checkout"
    return Canary.parse(canary)


async def test_copy(lab: Lab) -> None:
    """Limits, metrics and the kind of target are the original's; annotations and GitOps labels stay behind."""
    await lab.add(an_autoscaler())

    await ensure_primary_scaler(lab.cluster, scaled(), update=False)

    copy = await lab.get(HPA, "checkout-primary")
    assert copy["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "checkout-primary",
    }
    assert (copy["spec"]["minReplicas"], copy["spec"]["maxReplicas"], copy["spec"]["metrics"]) == (
        2,
        8,
        [CPU],
    )
    assert labels_of(copy) == {"team": "pay"}
    assert "annotations" not in copy["metadata"]
    assert [owner["uid"] for owner in copy["metadata"]["ownerReferences"]] == ["uid-of-checkout"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param({"minReplicas": 3}, (3, 8), id="minimum"),
        pytest.param({"maxReplicas": 20}, (2, 20), id="maximum"),
        pytest.param({"minReplicas": 4, "maxReplicas": 12}, (4, 12), id="both"),
    ],
)
async def test_limits_of_the_primary(lab: Lab, limits: dict[str, int], expected: tuple[int, int]) -> None:
    """`primaryScalerReplicas` replaces each limit by itself."""
    await lab.add(an_autoscaler())

    await ensure_primary_scaler(lab.cluster, scaled(**limits), update=False)

    spec = (await lab.get(HPA, "checkout-primary"))["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == expected


async def test_changes_wait_for_a_promotion(lab: Lab) -> None:
    """The copy is made once, and follows the original only when told to; unchanged, it costs no request."""
    await lab.add(an_autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}}))
    await ensure_primary_scaler(lab.cluster, scaled(), update=False)
    await lab.change(HPA, {"spec": {"maxReplicas": 9, "behavior": None}})
    lab.sent.clear()

    await ensure_primary_scaler(lab.cluster, scaled(), update=False)
    assert lab.sent == []
    await ensure_primary_scaler(lab.cluster, scaled(), update=True)
    await ensure_primary_scaler(lab.cluster, scaled(), update=True)

    assert lab.writes() == ["PATCH horizontalpodautoscalers/checkout-primary"]
    spec = (await lab.get(HPA, "checkout-primary"))["spec"]
    assert (spec["maxReplicas"], spec.get("behavior")) == (9, None)


async def test_original_is_missing(lab: Lab) -> None:
    """The message names it."""
    expected = r'HorizontalPodAutoscaler checkout\.shop get query error: .*"checkout" not found'

    with pytest.raises(TargetError, match=expected):
        await ensure_primary_scaler(lab.cluster, scaled(), update=False)


@pytest.mark.parametrize(
    ("minimum", "size"), [pytest.param(2, 2, id="minimum"), pytest.param(None, 1, id="no minimum given")]
)
async def test_a_parked_target_starts_at_the_minimum(lab: Lab, minimum: int | None, size: int) -> None:
    """From there on the autoscaler takes over; the primary's size doesn't matter."""
    await lab.add(an_autoscaler(minReplicas=minimum))

    assert await working_size(lab.cluster, scaled(), {"spec": {"replicas": 7}}) == size


async def test_without_an_autoscaler_there_is_nothing_to_do(lab: Lab) -> None:
    """No request for Canaries without one; a parked target starts at the primary's size."""
    canary = Canary.parse(a_canary())

    await ensure_primary_scaler(lab.cluster, canary, update=True)

    assert lab.sent == []
    assert await working_size(lab.cluster, canary, {"spec": {"replicas": 7}}) == 7
    assert await working_size(lab.cluster, canary, None) == 1


async def test_a_cluster_without_autoscaling_v2() -> None:
    """Kubernetes before 1.23 serves older versions only: the message says so, and what to do."""
    missing = Reply(404, b"404 page not found\n", [("Content-Type", "text/plain")])
    async with (
        ScriptedServer([missing]) as server,
        Client(Connection(server.url)) as client,
        Cluster(client) as cluster,
    ):
        for act in (
            ensure_primary_scaler(cluster, scaled(), update=False),
            working_size(cluster, scaled(), None),
        ):
            with pytest.raises(
                TargetError,
                match=r"doesn't serve autoscaling/v2 or autoscaling/v2beta2; .*remove spec\.autoscalerRef",
            ):
                await act


class OldServer(CountingTransport):
    """A server that calls its autoscalers v2beta2 and knows no v2."""

    async def send(self, request: Request, guard: Callable[[], None] | None = None) -> bytes:
        path = request.path.replace("autoscaling/v2/", "autoscaling/v0/")
        path = path.replace("autoscaling/v2beta2/", "autoscaling/v2/")
        body = request.body and request.body.replace(b"autoscaling/v2beta2", b"autoscaling/v2")
        answer = await super().send(replace(request, path=path, body=body), guard)
        return answer.replace(b'autoscaling/v2"', b'autoscaling/v2beta2"')


async def test_a_cluster_with_an_older_version(lab: Lab) -> None:
    """Where only v2beta2 is served, that is what is read and written."""
    await lab.add(an_autoscaler())
    sent: list[Request] = []
    transport = OldServer(connection_to(lab.server), sent)
    async with (
        Client(connection_to(lab.server), transport=transport) as client,
        Cluster(client) as cluster,
    ):
        await ensure_primary_scaler(cluster, scaled(), update=False)
        assert await working_size(cluster, scaled(), None) == 2

    copy = await lab.get(HPA, "checkout-primary")
    assert (copy["spec"]["maxReplicas"], copy["spec"]["metrics"]) == (8, [CPU])
