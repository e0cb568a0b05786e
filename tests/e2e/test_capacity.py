"""Autoscaled releases under load: whoever gets the traffic has the pods for it.

Each pod bears 6 requests a second and its autoscaler aims at 70 % of that. Users send 34, so all traffic takes
8 pods, and the 3 to which an autoscaler shrinks a side without traffic answer half of it with 503.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from flagger.demo.traffic import Users
from flagger.kube.objects import DEPLOYMENT, HPA, Object
from tests.e2e.gatekeeper import Gatekeeper, a_gatekeeper
from tests.e2e.manifests import a_canary, a_deployment, a_hook
from tests.e2e.stage import Stage, eventually

pytestmark = pytest.mark.sandbox

BEARABLE, AIM, LOAD = "6", "4200m", 34.0  # requests per second: of one pod at most, on average; of all users
LEAST, ENOUGH = 3, 8  # pods
A_WHILE = 4.0  # seconds in which an autoscaler would have shrunk a side without traffic


@dataclass
class Scene:
    """A release under load, whose rollback and promotion wait for the test."""

    stage: Stage
    keeper: Gatekeeper
    users: Users

    async def pods(self, name: str) -> int:
        """Pods of a Deployment that can take requests."""
        deployment = await self.stage.client.get(DEPLOYMENT, name, self.stage.namespace)
        return int(deployment["status"].get("availableReplicas", 0))

    async def least(self, name: str) -> int:
        """The minimum of an autoscaler."""
        autoscaler = await self.stage.client.get(HPA, name, self.stage.namespace)
        return int(autoscaler["spec"]["minReplicas"])

    async def everybody_on_the_canary(self, tag: str) -> None:
        """A new version that has all traffic and waits for its promotion."""
        self.keeper.close("/promote")
        await self.stage.push("web", tag)
        await self.stage.phase("web", "WaitingPromotion")
        assert self.stage.status("web")[1] == 100

    async def served(self, seconds: float) -> None:
        """Wait until users have sent what they send in some seconds."""
        goal = self.users.total.sent + seconds * LOAD
        await eventually(lambda: self.users.total.sent >= goal, f"{LOAD * seconds:.0f} more requests")


@asynccontextmanager
async def a_scene(stage: Stage, annotations: dict[str, str]) -> AsyncIterator[Scene]:
    """A primary that has grown to what its users need."""
    async with a_gatekeeper(stage) as keeper:
        keeper.close("/back")
        hooks = [
            a_hook("promote", "confirm-promotion", f"{keeper.url}/promote"),
            a_hook("back", "rollback", f"{keeper.url}/back"),
        ]
        reference = {"apiVersion": HPA.api_version, "kind": HPA.kind, "name": "web"}
        canary = a_canary("web", stepWeights=[50, 100], webhooks=hooks)
        canary["spec"]["autoscalerRef"] = reference
        canary["metadata"]["annotations"] = annotations
        deployment = a_deployment("web", replicas=LEAST, delay=2, PODINFO_MAX_RATE=BEARABLE)
        deployment["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}
        await stage.apply(an_autoscaler(), deployment, canary)
        await stage.phase("web", "Initialized")
        async with stage.users("web.example", rate=LOAD) as users:
            scene = Scene(stage, keeper, users)
            await eventually(lambda: enough(scene), f"{ENOUGH} primary pods")
            await users.settled()
            users.new_act()
            yield scene


async def enough(scene: Scene) -> bool:
    return await scene.pods("web-primary") >= ENOUGH


def an_autoscaler() -> Object:
    """3 to 30 pods by requests per second; it shrinks a side soon after its traffic has gone."""
    metric = {"metric": {"name": "http_requests_per_second"}}
    return {
        "apiVersion": HPA.api_version,
        "kind": HPA.kind,
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": LEAST,
            "maxReplicas": 30,
            "metrics": [
                {"type": "Pods", "pods": {**metric, "target": {"type": "AverageValue", "averageValue": AIM}}}
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 2}},
        },
    }


async def test_nobody_is_turned_away(stage: Stage) -> None:
    """A promotion and a rollback from 100 %: no user sees an error, and the user's own minimum comes back."""
    async with a_scene(stage, {}) as scene:
        await scene.everybody_on_the_canary("1.1.0")
        await scene.served(A_WHILE)
        assert await scene.pods("web-primary") >= ENOUGH, "the primary stands by"
        scene.keeper.open("/promote")
        await stage.phase("web", "Succeeded", within=60)
        assert await scene.least("web") == LEAST
        await scene.everybody_on_the_canary("1.2.0")
        await scene.served(A_WHILE)
        scene.keeper.open("/back")
        await stage.phase("web", "Failed")
        await scene.served(A_WHILE)
        await scene.users.settled()
        seen = scene.users.act

    assert (seen.failed, seen.problems) == (0, {})
    assert seen.canary > A_WHILE * LOAD
    assert await scene.least("web") == LEAST
    assert await scene.least("web-primary") >= ENOUGH, "held until the cool-down is over"


async def test_without_it_a_rollback_is_an_outage(stage: Stage) -> None:
    """Upstream's way: the primary was scaled in while the canary had the traffic, then it gets everything."""
    async with a_scene(stage, {"release.flagger.app/capacity": "off"}) as scene:
        await scene.everybody_on_the_canary("1.1.0")

        async def shrunk() -> bool:
            return await scene.pods("web-primary") <= LEAST

        await eventually(shrunk, "the primary is scaled in")
        await scene.users.settled()
        scene.users.new_act()
        scene.keeper.open("/back")
        await stage.phase("web", "Failed")
        await scene.served(A_WHILE)
        await scene.users.settled()

    assert any(problem.startswith("HTTP 503 from web-primary") for problem in scene.users.act.problems)
