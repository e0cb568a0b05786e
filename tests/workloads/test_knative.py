"""A Knative Service as target, on a real API with Knative's definitions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import CRD, Kind, Object, annotations_of
from flagger.workloads.base import SupersededError, TargetError
from flagger.workloads.knative import KNATIVE_REVISION, KNATIVE_SERVICE, KnativeWorkload
from flagger.workloads.revision import upstream_hash
from tests.fakes.cluster import SHOP, Lab, a_canary

NOW = datetime(2030, 1, 5, tzinfo=UTC)
PRIMARY_REVISION = "flagger.app/primary-revision"
FIRST, SECOND = "catalog-00001", "catalog-00002"


def a_definition(kind: Kind) -> Object:
    """As far as it matters here: every field is kept, the status is written by itself."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()},
            "versions": [version | {"subresources": {"status": {}}}],
        },
    }


async def installed(lab: Lab) -> tuple[KnativeWorkload, Canary]:
    """Knative is there, and a target with a first revision."""
    for kind in (KNATIVE_SERVICE, KNATIVE_REVISION):
        await lab.client.create(CRD, a_definition(kind))
    metadata = {"name": "catalog", "namespace": SHOP}
    template = {"spec": {"containers": [{"image": "catalog:1"}]}}
    target = {"metadata": metadata, "spec": {"template": template}}
    await lab.client.create(KNATIVE_SERVICE, target)
    await revised(lab, FIRST)
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "catalog"}
    canary = await lab.add(a_canary(targetRef=reference, provider="knative"))
    return KnativeWorkload(lab.cluster), Canary.parse(canary)


async def revised(lab: Lab, name: str, *, ready: bool = True) -> Object:
    """What Knative does when the template changes."""
    revision = {"metadata": {"name": name, "namespace": SHOP}, "spec": {}}
    await lab.client.create(KNATIVE_REVISION, revision)
    conditions = [{"type": "Ready", "status": str(ready)}]
    await lab.change(KNATIVE_REVISION, {"status": {"conditions": conditions}}, name, subresource="status")
    status = {"latestCreatedRevisionName": name} | ({"latestReadyRevisionName": name} if ready else {})
    return await lab.change(KNATIVE_SERVICE, {"status": status}, "catalog", subresource="status")


@pytest.mark.parametrize(("name", "expected"), [(FIRST, "75798c6b58"), (SECOND, "755dbf8ff9")])
def test_hashes_are_upstreams(name: str, expected: str) -> None:
    """What upstream has written to a Canary's status stays valid."""
    assert upstream_hash(name) == expected


async def test_initialization(lab: Lab) -> None:
    """The newest revision becomes the primary and gets the traffic; repeating costs nothing."""
    workload, canary = await installed(lab)
    await workload.ensure_primary(canary, refresh=True)
    lab.sent.clear()
    await workload.ensure_primary(canary, refresh=True)

    assert lab.writes() == []
    target = await lab.get(KNATIVE_SERVICE, "catalog")
    assert annotations_of(target)[PRIMARY_REVISION] == FIRST
    expected = [{"latestRevision": True, "percent": 0}, {"revisionName": FIRST, "percent": 100}]
    assert target["spec"]["traffic"] == expected
    assert target["spec"]["template"]["spec"]["containers"] == [{"image": "catalog:1"}]


async def test_a_new_revision(lab: Lab) -> None:
    """It is the canary, the first one stays the primary; the canary is ready when its revision is."""
    workload, canary = await installed(lab)
    await workload.ensure_primary(canary, refresh=True)
    service = await revised(lab, SECOND, ready=False)
    await workload.ensure_primary(canary, refresh=False)

    seen = await workload.sight(canary, NOW)

    assert seen.primary is not None
    assert (seen.primary.revision, seen.target.revision) == ("75798c6b58", "755dbf8ff9")
    assert (seen.primary.readiness.ready, seen.target.readiness.ready) == (True, False)
    assert seen.target.readiness.message == "Knative Revision catalog-00002.shop is not ready"
    assert not seen.target.readiness.terminal
    assert not workload.readiness(canary, service, NOW).ready


async def test_promotion_and_back(lab: Lab) -> None:
    """The canary's revision becomes the primary, and the former one again when that fails."""
    workload, canary = await installed(lab)
    await workload.ensure_primary(canary, refresh=True)
    revision = workload.revision_of(await revised(lab, SECOND))

    await workload.promote(canary, revision, None)
    lab.sent.clear()
    await workload.promote(canary, revision, None)
    assert lab.writes() == []
    assert annotations_of(await lab.get(KNATIVE_SERVICE, "catalog"))[PRIMARY_REVISION] == SECOND

    await workload.restore(canary)
    await workload.restore(canary)
    assert annotations_of(await lab.get(KNATIVE_SERVICE, "catalog"))[PRIMARY_REVISION] == FIRST


async def test_promotion_refuses_what_was_not_analysed(lab: Lab) -> None:
    """A still newer revision is not promoted unseen."""
    workload, canary = await installed(lab)
    await workload.ensure_primary(canary, refresh=True)

    with pytest.raises(SupersededError):
        await workload.promote(canary, upstream_hash(SECOND), None)


async def test_without_knative(lab: Lab) -> None:
    """The message says what is missing."""
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "catalog"}
    canary = Canary.parse(await lab.add(a_canary(targetRef=reference, provider="knative")))

    with pytest.raises(TargetError, match=r"Knative Service catalog\.shop can't be read"):
        await KnativeWorkload(lab.cluster).sight(canary, NOW)
