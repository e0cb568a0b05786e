"""A core Service as target, on a real API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import SERVICE, Object, annotations_of, labels_of
from flagger.workloads.base import SupersededError, TargetError
from flagger.workloads.primary import REVISION
from flagger.workloads.service import ServiceWorkload
from tests.fakes.cluster import SHOP, Lab, a_canary

NOW = datetime(2030, 1, 5, tzinfo=UTC)
PRIMARY, COPY = "checkout-primary", "checkout-canary"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def a_service(**spec: Any) -> Object:
    """The target; its pods carry a release label."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "checkout",
            "namespace": SHOP,
            "labels": {"team": "web"},
            "annotations": {"owner": "web", LAST_APPLIED: "{}"},
        },
        "spec": {"selector": {"app": "checkout", "release": "v41"}, "ports": ports, **spec},
    }


async def bootstrapped(lab: Lab, **spec: Any) -> tuple[ServiceWorkload, Canary]:
    """A target and its copies."""
    reference = {"apiVersion": "v1", "kind": "Service", "name": "checkout"}
    await lab.add(a_service(**spec))
    workload, canary = (
        ServiceWorkload(lab.cluster),
        Canary.parse(await lab.add(a_canary(targetRef=reference))),
    )
    await workload.ensure_primary(canary, refresh=False)
    return workload, canary


async def pushed(lab: Lab, workload: ServiceWorkload, release: str) -> str:
    """Select other pods; returns the revision."""
    return workload.revision_of(await lab.change(SERVICE, {"spec": {"selector": {"release": release}}}))


async def release_of(lab: Lab, name: str) -> str:
    return (await lab.get(SERVICE, name))["spec"]["selector"]["release"]


async def test_copies(lab: Lab) -> None:
    """Both lead where the target does, at addresses of their own."""
    _, canary = await bootstrapped(lab)

    for name in (PRIMARY, COPY):
        copy = await lab.get(SERVICE, name)
        assert copy["spec"]["selector"] == {"app": "checkout", "release": "v41"}
        assert copy["spec"]["clusterIP"] != (await lab.get(SERVICE))["spec"]["clusterIP"]
        assert labels_of(copy) == {"team": "web"}
        assert annotations_of(copy)["owner"] == "web"
        assert LAST_APPLIED not in annotations_of(copy)
        assert copy["metadata"]["ownerReferences"] == [canary.owner_reference]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"clusterIP": "None"}, {"clusterIP": "None"}, id="headless stays headless"),
        pytest.param({"type": "NodePort"}, {"type": "NodePort"}, id="a node port of its own"),
    ],
)
async def test_what_the_server_allocates_is_not_copied(lab: Lab, spec: Object, expected: Object) -> None:
    """The server would refuse a second Service with the same; and once given, it is kept."""
    workload, canary = await bootstrapped(lab, **spec)
    before = await lab.get(SERVICE, COPY)
    await pushed(lab, workload, "v42")

    await workload.ensure_primary(canary, refresh=False)

    after = await lab.get(SERVICE, COPY)
    assert expected.items() <= after["spec"].items()
    assert after["spec"]["ports"] == before["spec"]["ports"]
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]


async def test_only_the_canary_follows(lab: Lab) -> None:
    """A change is seen as a new revision; the primary stays; unchanged, nothing is written."""
    workload, canary = await bootstrapped(lab)
    first = (await workload.sight(canary, NOW)).target.revision
    await pushed(lab, workload, "v42")
    lab.sent.clear()

    await workload.ensure_primary(canary, refresh=False)
    await workload.ensure_primary(canary, refresh=False)

    assert lab.writes() == [f"PATCH services/{COPY}"]
    assert (await release_of(lab, PRIMARY), await release_of(lab, COPY)) == ("v41", "v42")
    seen = await workload.sight(canary, NOW)
    assert seen.primary is not None
    assert (seen.primary.revision, seen.target.revision != first) == (first, True)
    assert (seen.target.readiness.ready, seen.selector) == (True, None)


async def test_promotion_and_back(lab: Lab) -> None:
    """The primary's copy follows, once, keeps its owner, and can be given back what it was."""
    workload, canary = await bootstrapped(lab)
    first = (await workload.sight(canary, NOW)).target.revision
    revision = await pushed(lab, workload, "v42")
    await workload.promote(canary, revision, None)
    lab.sent.clear()
    await workload.promote(canary, revision, None)

    assert lab.writes() == []
    promoted = await lab.get(SERVICE, PRIMARY)
    assert promoted["spec"]["selector"]["release"] == "v42"
    assert promoted["metadata"]["ownerReferences"] == [canary.owner_reference]
    await workload.restore(canary)
    await workload.restore(canary)
    restored = await lab.get(SERVICE, PRIMARY)
    assert restored["spec"]["selector"]["release"] == "v41"
    assert annotations_of(restored)[REVISION] == first


async def test_promotion_refuses_what_was_not_analysed(lab: Lab) -> None:
    """The target changed since its analysis: nothing is copied."""
    workload, canary = await bootstrapped(lab)
    analysed = await pushed(lab, workload, "v42")
    await pushed(lab, workload, "v43")

    with pytest.raises(SupersededError):
        await workload.promote(canary, analysed, None)

    assert await release_of(lab, PRIMARY) == "v41"


async def test_target_is_missing(lab: Lab) -> None:
    """The message names the target."""
    workload, canary = await bootstrapped(lab)
    await lab.remove(SERVICE)

    with pytest.raises(TargetError, match=r'service checkout\.shop get query error: .*"checkout" not found'):
        await workload.sight(canary, NOW)
