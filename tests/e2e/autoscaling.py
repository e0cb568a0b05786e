"""What autoscalers do to sizes, as far as releases notice: KEDA wakes and pauses, HPAs keep to their minimum."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from flagger.kube.errors import AlreadyExists, NotFound
from flagger.kube.objects import CRD, DEPLOYMENT, HPA, Object, annotations_of, name_of, namespace_of
from flagger.workloads.scaled_object import SCALED_OBJECT
from tests.e2e.stage import Stage, eventually
from tests.workloads.test_scaled_object import PAUSED, a_definition


@dataclass
class Autoscalers:
    """KEDA's operator and the controller of HPAs, for the namespace of one stage; nothing is ever measured."""

    stage: Stage
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Bring everything in line after each change, until cancelled."""
        stage = self.stage
        for kind in (SCALED_OBJECT, HPA, DEPLOYMENT):
            stage.cluster.subscribe(kind, lambda _, __: self._changed.set())
        while True:
            await self._changed.wait()
            self._changed.clear()
            for scaled in await stage.cluster.list(SCALED_OBJECT, stage.namespace):
                await self._scaled(scaled)
            for hpa in await stage.cluster.list(HPA, stage.namespace):
                await self._resize(
                    hpa["spec"]["scaleTargetRef"]["name"], hpa["spec"]["minReplicas"], wake=False
                )

    async def _scaled(self, scaled: Object) -> None:
        """A paused target has the size that the annotation says; any other is woken, and gets an HPA."""
        name, spec = name_of(scaled), scaled["spec"]
        target, paused = spec["scaleTargetRef"]["name"], annotations_of(scaled).get(PAUSED)
        if paused is not None:
            await self._resize(target, int(paused), wake=True, shrink=True)
            return
        await self._resize(target, spec["minReplicaCount"], wake=True)
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
        hpa = {
            "metadata": {"name": f"keda-hpa-{name}", "namespace": namespace_of(scaled)},
            "spec": {
                "scaleTargetRef": reference,
                "minReplicas": spec["minReplicaCount"],
                "maxReplicas": spec["maxReplicaCount"],
            },
        }
        if await self.stage.cluster.get(HPA, self.stage.namespace, f"keda-hpa-{name}") is None:
            await self.stage.cluster.create(HPA, hpa)

    async def _resize(self, target: str, replicas: int, *, wake: bool, shrink: bool = False) -> None:
        deployment = await self.stage.cluster.get(DEPLOYMENT, self.stage.namespace, target)
        if deployment is None:
            return
        size = deployment["spec"]["replicas"]
        grows = size < replicas and (wake or size > 0)
        if grows or (shrink and size > replicas):
            with suppress(NotFound):
                body = {"spec": {"replicas": replicas}}
                await self.stage.cluster.patch(DEPLOYMENT, target, self.stage.namespace, body)


@asynccontextmanager
async def autoscaling(stage: Stage) -> AsyncIterator[None]:
    """Autoscalers are at work for as long as the block lasts; KEDA's kind is served."""

    async def served() -> bool:
        try:
            await stage.client.list(SCALED_OBJECT, stage.namespace)
        except NotFound:
            return False
        return True

    with suppress(AlreadyExists):
        await stage.client.create(CRD, a_definition())
    await eventually(served, "ScaledObjects are served")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Autoscalers(stage).run())
        yield
        running.cancel()
