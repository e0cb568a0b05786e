"""What of Knative Serving can be seen from outside: revisions, their pods, and the traffic that is reported."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from flagger.kube.errors import Conflict, NotFound
from flagger.kube.objects import DEPLOYMENT, SERVICE, Kind, Object, name_of, namespace_of
from tests.e2e.manifests import IMAGE, a_deployment
from tests.e2e.stage import Stage

KNATIVE_SERVICE = Kind("serving.knative.dev", "v1", "Service", "services")
REVISION = Kind("serving.knative.dev", "v1", "Revision", "revisions")
PORT = 9898
READY = {"type": "Ready", "status": "True"}


def a_knative_service(name: str, tag: str = "1.0.0") -> Object:
    """What users write."""
    container = {"image": f"{IMAGE}:{tag}", "ports": [{"containerPort": PORT}]}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": [container]}}}}


@dataclass
class Knative:
    """Its controller, for the namespace of one stage. A tag of an image that starts with `bad` never gets ready."""

    stage: Stage
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Bring everything in line after each change, until cancelled."""
        for kind in (KNATIVE_SERVICE, DEPLOYMENT):
            self.stage.cluster.subscribe(kind, lambda _, __: self._changed.set())
        while True:
            await self._changed.wait()
            self._changed.clear()
            for service in await self.stage.cluster.list(KNATIVE_SERVICE, self.stage.namespace):
                with suppress(Conflict, NotFound):
                    await self._reconcile(service)

    async def _reconcile(self, service: Object) -> None:
        name, template = name_of(service), service["spec"]["template"]
        revisions = sorted(await self._revisions(name), key=name_of)
        if not revisions or revisions[-1]["spec"] != template["spec"]:
            revisions.append(await self._revise(service, f"{name}-{len(revisions) + 1:05d}"))
        ready = [name_of(revision) for revision in revisions if await self._is_ready(revision)]
        status: Object = {"latestCreatedRevisionName": name_of(revisions[-1])}
        if ready:
            status["latestReadyRevisionName"] = ready[-1]
        if ready:
            asked = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
            status |= {
                "traffic": [_resolved(share, ready[-1]) for share in asked],
                "observedGeneration": service["metadata"]["generation"],
                "conditions": [READY],
            }
        if (service.get("status") or {}) != status:
            body = {"status": status}
            await self.stage.client.patch(
                KNATIVE_SERVICE, name, self.stage.namespace, body, subresource="status"
            )

    async def _revisions(self, service: str) -> list[Object]:
        labels = {"serving.knative.dev/service": service}
        return list(await self.stage.cluster.list(REVISION, self.stage.namespace, labels=labels))

    async def _revise(self, service: Object, name: str) -> Object:
        """A revision, its pods, and the Service that leads to them."""
        namespace = namespace_of(service)
        template = service["spec"]["template"]
        (container,) = template["spec"]["containers"]
        deployment = a_deployment(name, tag=container["image"].rpartition(":")[2])
        if container["image"].rpartition(":")[2].startswith("bad"):
            deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {
                "httpGet": {"path": "/status/500", "port": PORT},
                "periodSeconds": 1,
            }
        ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
        plain = {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
        labels = {"serving.knative.dev/service": name_of(service)}
        revision = {"metadata": {"name": name, "labels": labels}, "spec": template["spec"]}
        for kind, obj in ((DEPLOYMENT, deployment), (SERVICE, plain), (REVISION, revision)):
            obj["metadata"]["namespace"] = namespace
            made = await self.stage.cluster.create(kind, obj)
        return made

    async def _is_ready(self, revision: Object) -> bool:
        """Whether the revision has served; its condition is written when it has for the first time."""
        if READY in ((revision.get("status") or {}).get("conditions") or ()):
            return True
        name, namespace = name_of(revision), namespace_of(revision)
        deployment = await self.stage.cluster.get(DEPLOYMENT, namespace, name)
        if deployment is None or not (deployment.get("status") or {}).get("availableReplicas"):
            return False
        body = {"status": {"conditions": [READY]}}
        await self.stage.cluster.patch(REVISION, name, namespace, body, subresource="status")
        return True


def _resolved(share: Object, newest: str) -> Object:
    """A share with the name of its revision."""
    return {**share, "revisionName": newest} if share.get("latestRevision") else share


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[None]:
    """Knative runs for as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Knative(stage).run())
        yield
        running.cancel()


@dataclass
class Visitors:
    """Users of one Service's address: `served` counts answers by revision, `failed` everything else by status."""

    url: str
    served: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """One request after the other, until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for _ in itertools.count():
                try:
                    async with session.get(self.url) as response:
                        body = await response.json()
                        revision = "-".join(str(body.get("hostname", "")).split("-")[:2])
                        (self.served if response.ok else self.failed)[revision] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failed[type(error).__name__] += 1
                await asyncio.sleep(0.01)


@asynccontextmanager
async def visitors(stage: Stage, name: str) -> AsyncIterator[Visitors]:
    """Users of a Service for as long as the block lasts."""
    service = await stage.client.get(SERVICE, name, stage.namespace)
    found = Visitors(f"http://{service['spec']['clusterIP']}:{PORT}/")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(found.run())
        yield found
        running.cancel()
