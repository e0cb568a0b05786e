"""A cluster for tests: an embedded API server in this process, a hand to act on it, and an operator's view of it.

Nothing else runs in it: what controllers, gateways and kubelets would report, a test reports itself.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from flagger.api import crds
from flagger.kube.auth import Credential, Static, bearer
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.kube.errors import AlreadyExists, KubeError, NotFound
from flagger.kube.informer import Informer
from flagger.kube.objects import (
    CONFIG_MAP,
    CRD,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    HPA,
    NAMESPACE,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Kind,
    Object,
    is_newer,
    name_of,
    namespace_of,
    resource_version_of,
)
from flagger.kube.transport import Request, Transport
from flagger.runtime.kinds import CANARY
from flagger.sandbox.apiserver import ApiServer
from flagger.sandbox.crds import manifests as gateway_crds
from flagger.workloads.checksums import SLIM

SHOP = "shop"
WITHIN = 10.0  # seconds that anything eventual may take
ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
METRIC_TEMPLATE = Kind("flagger.app", "v1beta1", "MetricTemplate", "metrictemplates")
KINDS = {
    kind.kind: kind for kind in (CANARY, DEPLOYMENT, HPA, METRIC_TEMPLATE, NAMESPACE, REPLICA_SET, ROUTE)
}
KINDS |= {kind.kind: kind for kind in (CONFIG_MAP, DAEMON_SET, SECRET, SERVICE)}


ON_A_REAL_SERVER = [
    pytest.mark.envtest,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # see `a_lab_on`
]
"""The marks of modules that run with `a_lab_on`."""


class CountingTransport(Transport):
    """Notes every request but watches, before it is sent."""

    def __init__(self, connection: Connection, sent: list[Request]) -> None:
        super().__init__(connection, user_agent="tests")
        self._sent = sent

    async def send(self, request: Request, guard: Callable[[], None] | None = None) -> bytes:
        self._sent.append(request)
        return await super().send(request, guard)


@dataclass(frozen=True)
class Lab:
    """A running server; `client` is the test's own hand, `cluster` and `told` are what an operator is given.

    `sent` are the requests of the operator: those of `cluster` and those of `told`, which writes Events. What
    the test does is waited for until the caches of `cluster` know it. `server` is None where it is a real one.
    """

    server: ApiServer | None
    client: Client
    cluster: Cluster
    told: Client
    sent: list[Request] = field(default_factory=list)

    async def add(self, *objects: Object) -> Object:
        """Create objects; returns the last one as stored."""
        for obj in objects:
            kind = KINDS[obj["kind"]]
            stored = await self._known(kind, await self.client.create(kind, copy.deepcopy(obj)))
        return stored

    async def get(self, kind: Kind, name: str = "checkout") -> Object:
        """An object as the server has it."""
        return await self.client.get(kind, name, SHOP)

    async def change(self, kind: Kind, body: Object, name: str = "checkout", **options: Any) -> Object:
        """Change an object by a merge patch, as a user would."""
        return await self._known(kind, await self.client.patch(kind, name, SHOP, body, **options))

    async def remove(self, kind: Kind, name: str = "checkout") -> None:
        """Delete an object."""
        await self.client.delete(kind, name, SHOP)

        async def gone() -> bool:
            return await self.cluster.get(kind, SHOP, name) is None

        await until(gone, f"the caches know that {kind.kind} {name} is gone")

    async def _known(self, kind: Kind, stored: Object) -> Object:
        version, namespace = resource_version_of(stored), namespace_of(stored) or None

        async def known() -> bool:
            cached = await self.cluster.get(kind, namespace, name_of(stored))
            return cached is not None and not is_newer(version, resource_version_of(cached))

        await until(known, f"the caches know {kind.kind} {name_of(stored)} at version {version}")
        return stored

    async def rolled_out(self, name: str, **status: Any) -> Object:
        """Report what the Deployment controller would once all replicas are there, or the given status."""
        deployment = await self.get(DEPLOYMENT, name)
        reported = {**finished(deployment), **status}
        return await self.change(DEPLOYMENT, {"status": reported}, name, subresource="status")

    def writes(self) -> list[str]:
        """The writes of the operator so far, as method and last part of the path."""
        return [brief(request) for request in self.sent if not request.is_read]

    def reads(self) -> list[str]:
        """The reads of the operator so far."""
        return [brief(request) for request in self.sent if request.is_read]


def brief(request: Request) -> str:
    """A request in two words, such as `PATCH httproutes/checkout`; the names of Events are random."""
    path = request.path.partition("?")[0].partition(f"/namespaces/{SHOP}/")[2]
    return f"{request.method} {'events' if path.startswith('events') else path}"


def finished(deployment: Object) -> Object:
    """The status of a Deployment that is rolled out."""
    replicas = deployment["spec"].get("replicas", 1)
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    }


def connection_to(server: ApiServer) -> Connection:
    """How the administrator reaches a server."""
    credentials = Static(Credential(bearer(server.admin_token)))
    return Connection(server.url, credentials, ca=server.ca_pem.encode())


@asynccontextmanager
async def a_lab(definitions: Iterable[Object] | None = None) -> AsyncIterator[Lab]:
    """A server with our CRDs and that of HTTPRoutes (or the given ones), and the namespace `shop`."""
    async with ApiServer() as server, Client(connection_to(server)) as client:
        for definition in the_definitions() if definitions is None else definitions:
            await client.create(CRD, definition)
        await client.create(NAMESPACE, {"metadata": {"name": SHOP}})
        async with _seen_by_an_operator(client, server) as found:
            yield found


@asynccontextmanager
async def a_lab_on(connection: Connection) -> AsyncIterator[Lab]:
    """The same on a server that many tests share: the namespace `shop` is empty before and after.

    For tests that carry `ON_A_REAL_SERVER`.
    """
    async with Client(connection) as client:
        namespace = {"kind": "Namespace", "metadata": {"name": SHOP}}
        for kind, obj in [*((CRD, definition) for definition in the_definitions()), (NAMESPACE, namespace)]:
            with suppress(AlreadyExists):
                await client.create(kind, obj)
        await _clear_all(client)
        try:
            async with _seen_by_an_operator(client, None) as found:
                yield found
        finally:
            await _clear_all(client)
    # asyncio loses a connection that is called off between TCP and TLS: found here, in a test that expects it.
    gc.collect()


async def _clear_all(client: Client) -> None:
    for kind in (*KINDS.values(), EVENT):
        if kind not in (NAMESPACE, HPA):  # old servers have no autoscaling/v2
            await _clear(client, kind)


async def _clear(client: Client, kind: Kind) -> None:
    async def listed() -> list[Object]:
        return [*(await client.list(kind, SHOP)).items, {}]  # a CRD is served a moment after it is created

    for obj in await until(listed, f"{kind.resource} are served"):
        if obj:
            await client.patch(kind, name_of(obj), SHOP, {"metadata": {"finalizers": None}})
            with suppress(NotFound):
                await client.delete(kind, name_of(obj), SHOP)


@asynccontextmanager
async def _seen_by_an_operator(client: Client, server: ApiServer | None) -> AsyncIterator[Lab]:
    sent: list[Request] = []
    counting = CountingTransport(client.connection, sent)
    async with Client(client.connection, transport=counting) as told, Cluster(told, slim=SLIM) as cluster:
        yield Lab(server, client, cluster, told, sent)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A server of this test's own, with our CRDs and that of HTTPRoutes."""
    async with a_lab() as found:
        yield found


@cache
def the_definitions() -> list[Object]:
    """Our CRDs and that of HTTPRoutes."""
    routes = [item for item in gateway_crds() if item["spec"]["names"]["kind"] == "HTTPRoute"]
    return [*crds.manifests(), *routes]


@asynccontextmanager
async def deployments_rolling(client: Client) -> AsyncIterator[None]:
    """Play the Deployment controller: every Deployment is rolled out as soon as it is changed."""
    tasks: set[asyncio.Task[None]] = set()

    async def report(deployment: Object) -> None:
        metadata = deployment["metadata"]
        body = {"status": finished(deployment)}
        await client.patch(DEPLOYMENT, metadata["name"], metadata["namespace"], body, subresource="status")

    def changed(_: Object | None, new: Object | None) -> None:
        if new and new["metadata"]["generation"] > (new.get("status") or {}).get("observedGeneration", 0):
            task = asyncio.get_running_loop().create_task(report(new))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    informer = Informer(client, DEPLOYMENT, on_change=changed)
    running = asyncio.create_task(informer.run())
    try:
        await informer.wait_synced()
        yield
    finally:
        for task in (running, *tasks):
            task.cancel()
        await asyncio.gather(running, *tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], what: str, within: float = WITHIN) -> Any:
    """Wait until a condition, plain or async, holds; returns what it returned."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            answer = condition()
            answer = await answer if asyncio.iscoroutine(answer) else answer
        except (AssertionError, KubeError):
            answer = None
        if answer:
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {within:g} s: {what}")


def a_target(name: str = "checkout", *, replicas: int = 2, image: str = "podinfo:1", **spec: Any) -> Object:
    """A Deployment."""
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SHOP, "labels": {"app": name}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        | spec,
    }


def a_canary(
    name: str = "checkout",
    *,
    analysis: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A Canary on a Gateway `public`; a weighted run of steps of 10 up to 50 unless said otherwise."""
    base: Object = {"interval": "30s", "threshold": 3}
    moves = analysis if analysis is not None else {"stepWeight": 10, "maxWeight": 50}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": SHOP},
        "spec": {
            "provider": "gatewayapi:v1",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {
                "port": 80,
                "targetPort": 8080,
                "gatewayRefs": [{"name": "public"}],
                **(service or {}),
            },
            "analysis": {**base, **moves},
            **spec,
        },
    }
