"""Releases of Knative Services; the test plays Knative's controller, requests are real."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flagger.demo.scene import CANARY
from flagger.kube.objects import SERVICE, Object, annotations_of
from tests.e2e.knative import KNATIVE_SERVICE, PORT, a_knative_service, serving, visitors
from tests.e2e.manifests import IMAGE, a_canary
from tests.e2e.stage import Stage, eventually
from tests.e2e.test_deletion import created, is_gone

pytestmark = pytest.mark.sandbox

PRIMARY = "flagger.app/primary-revision"


@pytest.fixture
async def knative(stage: Stage) -> AsyncIterator[Stage]:
    """A stage with Knative, and the Service by whose name `catalog` is reached."""
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    entrance = {"metadata": {"name": "catalog"}, "spec": {"selector": {"app": "nobody"}, "ports": ports}}
    await created(stage, SERVICE, entrance)
    async with serving(stage):
        yield stage


async def released(stage: Stage, spec: dict[str, Any] | None = None, **analysis: Any) -> None:
    """The first revision, and its Canary, initialized."""
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "catalog"}
    base = {"provider": "knative", "targetRef": reference, "service": {"port": PORT}}
    await created(stage, KNATIVE_SERVICE, a_knative_service("catalog"))
    await created(stage, CANARY, a_canary("catalog", spec={**base, **(spec or {})}, **analysis))
    await stage.phase("catalog", "Initialized")


async def pushed(stage: Stage, tag: str) -> None:
    containers = [{"image": f"{IMAGE}:{tag}", "ports": [{"containerPort": PORT}]}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    await stage.client.patch(KNATIVE_SERVICE, "catalog", stage.namespace, body)


async def service_of(stage: Stage) -> Object:
    return await stage.client.get(KNATIVE_SERVICE, "catalog", stage.namespace)


async def traffic(stage: Stage) -> list[tuple[str, int]]:
    """Revisions and shares as Knative reports them, without those that have nothing."""
    shares = (await service_of(stage))["status"].get("traffic") or ()
    return [(share["revisionName"], share["percent"]) for share in shares if share.get("percent")]


async def test_a_revision_is_released_step_by_step(knative: Stage) -> None:
    """Users are divided between two revisions by weight, and all end on the new one."""
    await released(knative)
    async with visitors(knative, "catalog") as users:
        await eventually(lambda: users.served["catalog-00001"] > 20, "the first revision serves")
        users.failed.clear()  # before the first one was ready, nobody could serve
        await pushed(knative, "1.1.0")
        await knative.phase("catalog", "Succeeded")
        await eventually(lambda: traffic_is(knative, ("catalog-00002", 100)), "Knative has followed")
        before = users.served.copy()
        await eventually(lambda: users.served["catalog-00002"] > before["catalog-00002"] + 20, "they go on")

    assert knative.weights("catalog") == [0, 20, 50, 0]
    assert before["catalog-00002"] > 0
    assert users.failed == {}
    assert annotations_of(await service_of(knative))[PRIMARY] == "catalog-00002"


async def test_a_revision_that_fails_goes(knative: Stage) -> None:
    """The traffic is the first revision's again; the new one stays the newest, without traffic."""
    failing = [{"name": "gate", "type": "rollout", "url": "http://127.0.0.1:9/", "timeout": "1s"}]
    await released(knative, threshold=1, webhooks=failing)
    await pushed(knative, "1.1.0")
    await knative.phase("catalog", "Failed")
    await eventually(lambda: traffic_is(knative, ("catalog-00001", 100)), "Knative has followed")

    assert annotations_of(await service_of(knative))[PRIMARY] == "catalog-00001"


async def test_a_revision_that_is_not_ready_gets_nothing(knative: Stage) -> None:
    """It is waited for, and can be fixed forward."""
    await released(knative)
    await pushed(knative, "bad-1")
    await knative.phase("catalog", "Progressing")
    waits = "Knative Revision catalog-00002"
    await knative.until(lambda: any(waits in text for text in knative.told["catalog"]), "it is said")
    assert await traffic(knative) == [("catalog-00001", 100)]

    await pushed(knative, "1.2.0")
    await knative.phase("catalog", "Succeeded")
    await eventually(lambda: traffic_is(knative, ("catalog-00003", 100)), "Knative has followed")


async def test_blue_green(knative: Stage) -> None:
    """All traffic moves at once, after the iterations."""
    await released(knative, stepWeights=None, iterations=2)
    async with visitors(knative, "catalog") as users:
        await eventually(lambda: users.served["catalog-00001"] > 20, "the first revision serves")
        users.failed.clear()
        await pushed(knative, "1.1.0")
        await knative.phase("catalog", "Succeeded")
        await eventually(lambda: traffic_is(knative, ("catalog-00002", 100)), "Knative has followed")
    assert users.failed == {}


async def test_deletion_leaves_the_traffic_where_it_is(knative: Stage) -> None:
    """With `revertOnDeletion` our annotations go, and users notice nothing."""
    await released(knative, spec={"revertOnDeletion": True})
    async with visitors(knative, "catalog") as users:
        await eventually(lambda: users.served["catalog-00001"] > 20, "the first revision serves")
        users.failed.clear()
        await knative.client.delete(CANARY, "catalog", knative.namespace)
        await eventually(lambda: is_gone(knative, CANARY, "catalog"), "the Canary is gone")
        await asyncio.sleep(0)
    assert users.failed == {}
    assert PRIMARY not in annotations_of(await service_of(knative))
    assert await traffic(knative) == [("catalog-00001", 100)]


async def traffic_is(stage: Stage, *wanted: tuple[str, int]) -> bool:
    return await traffic(stage) == list(wanted)
