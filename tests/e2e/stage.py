"""A namespace of its own on a sandbox, and what a test sees and does there."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import pytest

from flagger.demo.release import push
from flagger.demo.scene import CANARY, GATEWAY, Reference, way_in
from flagger.demo.traffic import Users
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    HPA,
    NAMESPACE,
    SERVICE,
    Kind,
    Object,
    name_of,
    namespace_of,
)
from tests.e2e.manifests import a_canary, a_deployment
from tests.fakes.sandbox import SandboxProcess

HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
METRIC_TEMPLATE = Kind("flagger.app", "v1beta1", "MetricTemplate", "metrictemplates")
KINDS = {
    kind.kind: kind
    for kind in (CANARY, DEPLOYMENT, GATEWAY, METRIC_TEMPLATE, HPA, SERVICE, ENDPOINT_SLICE, NAMESPACE)
}
WITHIN = 30.0  # seconds: far more than anything takes here
NUMBERS = count(1)

Status = tuple[str, int, int]
"""Phase, weight, failed checks."""


@dataclass
class Stage:
    """A fresh namespace. `history` has every status of each Canary, `told` the texts of its events."""

    sandbox: SandboxProcess
    client: Client
    cluster: Cluster
    namespace: str
    history: dict[str, list[Status]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self) -> None:
        """Note everything that happens to the Canaries of this namespace."""
        self.cluster.subscribe(CANARY, self._canary)
        self.cluster.subscribe(EVENT, self._event)
        self.cluster.subscribe(DEPLOYMENT, lambda _, __: self.changed.set())

    async def apply(self, *objects: Object) -> None:
        """Apply objects as kubectl would, here unless they say where."""
        for obj in objects:
            kind = KINDS[obj["kind"]]
            metadata = (
                {"namespace": self.namespace, **obj["metadata"]} if kind.namespaced else obj["metadata"]
            )
            await self.client.apply(kind, {**obj, "metadata": metadata}, manager="test")

    async def release(
        self, name: str, *, deployment: Object | None = None, canary: Object | None = None
    ) -> None:
        """A Deployment and its Canary, initialized."""
        await self.apply(deployment or a_deployment(name), canary or a_canary(name))
        await self.phase(name, "Initialized")

    async def push(self, name: str, tag: str, *, fail_every: int = 0) -> None:
        """A new version, as users push it."""
        await push(self.client, self.namespace, name, tag, fail_every=fail_every)

    async def scraped(self, name: str, pods: int) -> None:
        """Wait until the metrics server has two samples of each canary pod; a real Prometheus takes seconds."""
        which = f'up{{namespace="{self.namespace}",pod=~"{name}-[a-z0-9]+-[a-z0-9]+"}}'
        query = {"query": f"count(count_over_time({which}[30s]) >= 2) >= {pods}"}
        url = f"{self.sandbox.record.metrics}/api/v1/query"
        async with aiohttp.ClientSession() as session:

            async def known() -> bool:
                async with session.get(url, params=query) as response:
                    return bool((await response.json())["data"]["result"])

            await eventually(known, f"{pods} pods of {name} are scraped")

    async def canary(self, name: str) -> Object:
        """The Canary as it is stored."""
        return await self.client.get(CANARY, name, self.namespace)

    async def phase(self, name: str, *phases: str, within: float = WITHIN) -> Status:
        """Wait until the Canary is in one of these phases."""
        await self.until(lambda: self.status(name)[0] in phases, f"{name} {' or '.join(phases)}", within)
        return self.status(name)

    async def until(self, done: Callable[[], bool], what: str, within: float = WITHIN) -> None:
        """Wait until something is so; `done` is asked after every change."""
        try:
            async with asyncio.timeout(within):
                while not done():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            seen = "\n".join(
                f"{name}: {history[-9:]}\n  {self.told[name][-9:]}" for name, history in self.history.items()
            )
            pytest.fail(f"not within {within:.0f} s: {what}\n{seen}")

    def status(self, name: str) -> Status:
        """The last status that was seen."""
        return self.history[name][-1] if self.history[name] else ("", 0, 0)

    def weights(self, name: str, start: int = 0) -> list[int]:
        """The weights that were seen from a place in the history on, each once in a row."""
        found = [weight for _, weight, _ in self.history[name][start:]]
        return [weight for index, weight in enumerate(found) if index == 0 or weight != found[index - 1]]

    def halts(self, name: str) -> list[str]:
        """What the failed checks said."""
        return [text for text in self.told[name] if text.startswith("Halt ")]

    async def ending(self, name: str) -> dict[str, Any]:
        """What users and operators can see of a release once it is over."""
        wanted = ((CANARY, name), (DEPLOYMENT, f"{name}-primary"), (DEPLOYMENT, name))
        canary, primary, target = [await self.client.get(kind, each, self.namespace) for kind, each in wanted]
        route = await self.client.get(HTTP_ROUTE, name, self.namespace)
        status = canary["status"]
        return {
            "phase": status["phase"],
            "weight": status["canaryWeight"],
            "iterations": status["iterations"],
            "failed checks": status["failedChecks"],
            "condition": status["conditions"][0]["reason"],
            "applied is promoted": status["lastAppliedSpec"] == status.get("lastPromotedSpec"),
            "primary": image_of(primary),
            "target": image_of(target),
            "target replicas": target["spec"]["replicas"],
            "split": [(backend.removeprefix(name), weight) for backend, weight in split_of(route)],
        }

    @asynccontextmanager
    async def users(self, host: str, rate: float = 40.0, gateway: str = "public") -> AsyncIterator[Users]:
        """Users who come through a Gateway (`name`, or `namespace/name`) for as long as the block lasts."""
        namespace, _, name = gateway.rpartition("/")
        async with asyncio.timeout(WITHIN):
            url = await way_in(self.client, Reference(namespace or self.namespace, name), host)
        users = Users(url, host, rate)
        sending = asyncio.create_task(users.run())
        try:
            yield users
            await users.settled()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    def _canary(self, _: Object | None, new: Object | None) -> None:
        if new is not None and namespace_of(new) == self.namespace:
            status = new.get("status", {})
            seen = status.get("phase", ""), status.get("canaryWeight", 0), status.get("failedChecks", 0)
            history = self.history[name_of(new)]
            if not history or history[-1] != seen:
                history.append(seen)
            self.changed.set()

    def _event(self, _: Object | None, new: Object | None) -> None:
        about = {} if new is None else new["involvedObject"]
        if new is not None and (about.get("kind"), about.get("namespace")) == ("Canary", self.namespace):
            self.told[about["name"]].append(new["message"])
            self.changed.set()


@asynccontextmanager
async def a_stage(sandbox: SandboxProcess, *objects: Object, name: str = "") -> AsyncIterator[Stage]:
    """A namespace with these objects in it; it is deleted afterwards, without waiting for it to be gone."""
    namespace = name or f"stage-{next(NUMBERS)}"
    async with Client(load_connection(sandbox.kubeconfig)) as client, Cluster(client) as cluster:
        stage = Stage(sandbox, client, cluster, namespace)
        await client.create(NAMESPACE, {"metadata": {"name": namespace}})
        try:
            stage.follow()
            await stage.apply(*objects)
            yield stage
        finally:
            await client.delete(NAMESPACE, namespace)


async def eventually(done: Callable[[], Any], what: str, within: float = WITHIN) -> Any:
    """Ask again and again until the answer, which may be awaitable, is a yes; returns it."""
    deadline = time.monotonic() + within
    while True:
        answer = done()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(0.05)


def image_of(deployment: Object) -> str:
    """The tag of the first container's image."""
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image.rpartition(":")[2]


def split_of(route: Object) -> Sequence[tuple[str, int]]:
    """Backends and weights of the first rule."""
    return [(ref["name"], ref.get("weight", 1)) for ref in route["spec"]["rules"][0]["backendRefs"]]
