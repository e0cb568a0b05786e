"""KEDA's ScaledObject as a target's scaler, on a real API with KEDA's definition."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import CRD, Object, annotations_of, labels_of
from flagger.workloads.base import TargetError
from flagger.workloads.scaled_object import SCALED_OBJECT, primary_query
from flagger.workloads.scalers import ensure_primary_scaler, pause_scaler, resume_scaler, working_size
from tests.fakes.cluster import SHOP, Lab, a_canary

PAUSED = "autoscaling.keda.sh/paused-replicas"
QUERY = 'sum(rate(http_requests_total{app="checkout-canary", svc="checkout"}[1m]))'


def a_definition() -> Object:
    """KEDA's definition, as far as it matters here: it keeps every field."""
    names = {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {"group": "keda.sh", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def a_scaler(**spec: Any) -> Object:
    """The target's scaler, with settings of newer versions of KEDA."""
    trigger = {"serverAddress": "http://prom.monitoring:9090", "threshold": "20", "query": QUERY}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": "checkout",
            "namespace": SHOP,
            "labels": {"team": "pay", "scaledobject.keda.sh/name": "checkout"},
            "annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true", PAUSED: "0"},
        },
        "spec": {
            "scaleTargetRef": {"name": "checkout", "envSourceContainerName": "web"},
            "pollingInterval": 10,
            "minReplicaCount": 2,
            "maxReplicaCount": 4,
            "fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "static"},
            "triggers": [
                {"type": "prometheus", "name": "load", "useCachedMetrics": True, "metadata": trigger}
            ],
            **spec,
        },
    }


def scaled(**reference: Any) -> Canary:
    """A Canary with a ScaledObject."""
    named = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "checkout"}
    canary = a_canary(autoscalerRef=named | reference)
    canary["metadata"]["uid"] = "uid-of-checkout"
    return Canary.parse(canary)


async def installed(lab: Lab, **spec: Any) -> None:
    """KEDA is there, and a target's scaler."""
    await lab.client.create(CRD, a_definition())
    await lab.client.create(SCALED_OBJECT, a_scaler(**spec))


async def copied(lab: Lab, canary: Canary) -> Object:
    await ensure_primary_scaler(lab.cluster, canary, update=False)
    return await lab.get(SCALED_OBJECT, "checkout-primary")


async def test_copy(lab: Lab) -> None:
    """All settings are kept; it scales the primary by the primary's load, and is not paused."""
    await installed(lab)

    copy = await copied(lab, scaled())

    spec = a_scaler()["spec"]
    spec["scaleTargetRef"]["name"] = "checkout-primary"
    spec["advanced"] = {"horizontalPodAutoscalerConfig": {}}
    expected = 'sum(rate(http_requests_total{app="checkout-primary", svc="checkout-primary"}[1m]))'
    spec["triggers"][0]["metadata"]["query"] = expected
    assert copy["spec"] == spec
    assert labels_of(copy) == {"team": "pay"}
    assert annotations_of(copy) == {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    assert [owner["uid"] for owner in copy["metadata"]["ownerReferences"]] == ["uid-of-checkout"]


async def test_limits_name_and_queries_of_the_primary(lab: Lab) -> None:
    """What the Canary says wins; an autoscaler's own name must differ, or two would fight over it."""
    await installed(
        lab, advanced={"horizontalPodAutoscalerConfig": {"name": "by-hand"}, "scalingModifiers": {}}
    )
    limits = {"minReplicas": 3, "maxReplicas": 9}

    copy = await copied(
        lab, scaled(primaryScalerReplicas=limits, primaryScalerQueries={"load": "up", "none": "down"})
    )

    spec = copy["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 9)
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "by-hand-primary"
    assert spec["triggers"][0]["metadata"]["query"] == "up"


async def test_given_queries_replace_all_rewriting(lab: Lab) -> None:
    """Triggers that they don't name keep the target's query to the letter."""
    await installed(lab)

    copy = await copied(lab, scaled(primaryScalerQueries={}))

    assert copy["spec"]["triggers"][0]["metadata"]["query"] == QUERY


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{app="checkout"}', '{app="checkout-primary"}'),
        ('{app="checkout-canary"}', '{app="checkout-primary"}'),
        ('{app="checkout-primary"}', '{app="checkout-primary"}'),
        ('{pod=~"checkout-[0-9a-z]+.*"}', '{pod=~"checkout-primary-[0-9a-z]+.*"}'),
        ('{pod=~"checkout-.*"}', '{pod=~"checkout-primary-.*"}'),
        ('checkout_total{app="checkout-api"}', 'checkout_total{app="checkout-api"}'),
        ('{app="old-checkout"}', '{app="old-checkout"}'),
        ("http://checkout.shop:80", "http://checkout-primary.shop:80"),
    ],
)
def test_queries(query: str, expected: str) -> None:
    """A query about the target or its canary asks about the primary; longer names are other things."""
    assert primary_query(query, "checkout") == expected


async def test_changes_wait_for_a_promotion(lab: Lab) -> None:
    """Settings follow when told to, also those that are gone; metadata stays as it is."""
    await installed(lab)
    before = await copied(lab, scaled())
    await lab.change(SCALED_OBJECT, {"spec": {"maxReplicaCount": 8, "fallback": None}})
    lab.sent.clear()

    for update in (False, True, True):
        await ensure_primary_scaler(lab.cluster, scaled(), update=update)

    assert lab.writes() == ["PATCH scaledobjects/checkout-primary"]
    after = await lab.get(SCALED_OBJECT, "checkout-primary")
    assert after["spec"]["maxReplicaCount"] == 8
    assert "fallback" not in after["spec"]
    assert annotations_of(after) == annotations_of(before)


async def test_pausing(lab: Lab) -> None:
    """Only the annotation changes, and repeating costs nothing."""
    await installed(lab)
    await lab.change(SCALED_OBJECT, {"metadata": {"annotations": {PAUSED: None}}})
    before = (await lab.get(SCALED_OBJECT))["spec"]
    lab.sent.clear()

    states = []
    for act in (pause_scaler, pause_scaler, resume_scaler, resume_scaler):
        await act(lab.cluster, scaled())
        states.append(annotations_of(await lab.get(SCALED_OBJECT)).get(PAUSED))

    assert states == ["0", "0", None, None]
    assert lab.writes() == ["PATCH scaledobjects/checkout"] * 2
    assert (await lab.get(SCALED_OBJECT))["spec"] == before


async def test_a_scaler_that_is_gone(lab: Lab) -> None:
    """A rollback must not fail on it; making the primary's from it does, and says why."""
    await installed(lab)
    await lab.remove(SCALED_OBJECT)

    await pause_scaler(lab.cluster, scaled())
    assert await working_size(lab.cluster, scaled(), None) == 1
    with pytest.raises(TargetError, match=r"Keda ScaledObject checkout\.shop get query error: .* not found"):
        await ensure_primary_scaler(lab.cluster, scaled(), update=False)


async def test_a_parked_target_starts_at_the_minimum(lab: Lab) -> None:
    """KEDA takes over from there."""
    await installed(lab)

    assert await working_size(lab.cluster, scaled(), None) == 2


async def test_a_cluster_without_keda(lab: Lab) -> None:
    """The message says what is missing."""
    with pytest.raises(TargetError, match=r"this cluster doesn't serve keda\.sh/v1alpha1"):
        await ensure_primary_scaler(lab.cluster, scaled(), update=False)
