"""Puts the rooms together: an API server and, talking to it only, controllers, kubelet, data plane, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from flagger.api import crds as flagger_crds
from flagger.kube.apply import ensure
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.errors import NotFound
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CRD, NODE, SERVICE
from flagger.sandbox import crds as provider_crds
from flagger.sandbox.control_plane import ControlPlaneError
from flagger.sandbox.controllers.controllers import Controllers
from flagger.sandbox.dataplane.dataplane import DataPlane
from flagger.sandbox.dataplane.envoy import EnvoyMissingError
from flagger.sandbox.engines import Engine, start_engine
from flagger.sandbox.kubelet.kubelet import Kubelet
from flagger.sandbox.metrics.engine_prometheus import PrometheusError
from flagger.sandbox.metrics.publish import SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_PORT
from flagger.sandbox.metrics.room import MetricsStore
from flagger.sandbox.options import Options
from flagger.sandbox.slots import NoFreeSlotError, Slot

READY_WITHIN = 30.0  # seconds, for each part
_POLL = 0.02  # seconds


class SandboxError(Exception):
    """The sandbox did not come up, or a part of it failed; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox; `client` is an administrator's."""

    kubeconfig: Path
    api: str
    metrics: str
    slot: Slot
    client: Client
    state_dir: Path


@asynccontextmanager
async def sandbox(options: Options) -> AsyncIterator[Sandbox]:
    """A sandbox for as long as the block lasts; none of its processes outlives it.

    Raises:
        SandboxError: a part did not come up in time, or failed later.
    """
    for part in ("run", "log"):
        (options.state_dir / part).mkdir(parents=True, exist_ok=True)
    try:
        async with AsyncExitStack() as stack:
            engine = await start_engine(stack, options)
            connection = load_connection(engine.kubeconfig)
            clients = [await stack.enter_async_context(Client(connection)) for _ in range(5)]
            await _install_kinds(clients[0])
            store = await _furnish(stack, options, engine, clients)
            yield Sandbox(
                kubeconfig=engine.kubeconfig,
                api=connection.server,
                metrics=store.url,
                slot=engine.slot,
                client=clients[0],
                state_dir=options.state_dir,
            )
    except ExceptionGroup as group:
        failed = group.subgroup(SandboxError)
        if failed is None:
            raise
        raise _first(failed) from group
    except (ControlPlaneError, EnvoyMissingError, NoFreeSlotError, PrometheusError) as error:
        raise SandboxError(str(error)) from error


async def _furnish(
    stack: AsyncExitStack, options: Options, engine: Engine, clients: Collection[Client]
) -> MetricsStore:
    """Open all rooms and wait until each does its work; returns the metrics store."""
    client, for_plane, for_store, for_controllers, for_kubelet = clients
    plane = DataPlane(for_plane, cidr=engine.slot.services, state_dir=options.state_dir)
    store = MetricsStore(
        for_store,
        state_dir=options.state_dir,
        engine=options.metrics,
        scrape_interval=options.scrape_interval,
    )
    rooms = {
        "controllers": Controllers(for_controllers, only=engine.controllers).run(),
        "kubelet": Kubelet(for_kubelet, state_dir=options.state_dir / "run", pod_cidr=engine.slot.pods).run(),
        "data plane": plane.run(),
        "metrics store": store.run(),
    }
    await stack.enter_async_context(_running(rooms))
    await _ready(client, plane, store)
    return store


@asynccontextmanager
async def _running(rooms: dict[str, Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """The rooms as tasks of this block; one that fails ends it, and all end with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_lived_in(name, room), name=name) for name, room in rooms.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _lived_in(name: str, room: Coroutine[None, None, None]) -> None:
    try:
        await room
    except Exception as error:
        raise SandboxError(f"the {name} failed: {_first(error)}") from error


def _first(error: Exception) -> Exception:
    """What is at the bottom of a group of errors."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _install_kinds(client: Client) -> None:
    """Create our own CRDs and those of the traffic APIs, or bring kept ones up to date."""
    async with Cluster(client) as cluster:
        for definition in (*flagger_crds.manifests(), *provider_crds.manifests()):
            await ensure(cluster, CRD, definition)


async def _ready(client: Client, plane: DataPlane, store: MetricsStore) -> None:
    waits = {
        "data plane": plane.ready.wait(),
        "metrics store": store.ready.wait(),
        "node": _node_is_there(client),
        "way to the metrics store": _metrics_are_served(client),
    }
    for part, wait in waits.items():
        try:
            async with asyncio.timeout(READY_WITHIN):
                await wait
        except TimeoutError as error:
            raise SandboxError(f"the {part} did not come up within {READY_WITHIN:.0f} s") from error


async def _node_is_there(client: Client) -> None:
    seen = asyncio.Event()
    async with Cluster(client) as cluster:
        cluster.subscribe(NODE, lambda _, node: seen.set() if node else None)
        await seen.wait()


async def _metrics_are_served(client: Client) -> None:
    """Until the metrics server answers at its address in the cluster, the way that the operator takes."""
    async with aiohttp.ClientSession() as session:
        while True:
            with suppress(NotFound, aiohttp.ClientConnectionError):
                service = await client.get(SERVICE, SERVICE_NAME, SERVICE_NAMESPACE)
                url = f"http://{service['spec']['clusterIP']}:{SERVICE_PORT}/api/v1/query?query=vector(1)"
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(_POLL)
