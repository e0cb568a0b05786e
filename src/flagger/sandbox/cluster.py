"""Puts the rooms together: an API server and, talking to it only, controllers, kubelet, data plane, metrics."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flagger.api import crds as flagger_crds
from flagger.kube.apply import ensure
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CRD, NODE
from flagger.sandbox import crds as provider_crds
from flagger.sandbox.apiserver.server import ApiServer
from flagger.sandbox.control_plane import control_plane
from flagger.sandbox.controllers.controllers import NAMES, Controllers
from flagger.sandbox.dataplane.dataplane import DataPlane
from flagger.sandbox.kubelet.kubelet import Kubelet
from flagger.sandbox.metrics.room import MetricsStore
from flagger.sandbox.slots import Slot, take_slot

READY_WITHIN = 30.0  # seconds


class SandboxError(Exception):
    """The sandbox did not come up; the text says which part and where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a sandbox is set up.

    `state_dir` holds kubeconfig, logs and whatever runs; with `data_dir` the cluster's objects outlive it.
    `engine` is `builtin` or `envtest` (real control-plane binaries), `metrics` is `embedded` or `prometheus`
    (a real one, from PATH).
    """

    state_dir: Path
    data_dir: Path | None = None
    engine: str = "builtin"
    metrics: str = "embedded"
    scrape_interval: timedelta = timedelta(seconds=1)


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
        SandboxError: a part did not come up in time.
    """
    for part in ("run", "log"):
        (options.state_dir / part).mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        slot = stack.enter_context(take_slot())
        kubeconfig, names = await _api_server(stack, options, slot)
        connection = load_connection(kubeconfig)
        clients = [await stack.enter_async_context(Client(connection)) for _ in range(5)]
        await _install_kinds(clients[0])
        plane = DataPlane(clients[1], cidr=slot.services, state_dir=options.state_dir)
        store = MetricsStore(
            clients[2],
            state_dir=options.state_dir,
            engine=options.metrics,
            scrape_interval=options.scrape_interval,
        )
        rooms = {
            "controllers": Controllers(clients[3], only=names).run(),
            "kubelet": Kubelet(clients[4], state_dir=options.state_dir / "run", pod_cidr=slot.pods).run(),
            "data plane": plane.run(),
            "metrics": store.run(),
        }
        async with _running(rooms):
            await _ready(clients[0], plane, store)
            yield Sandbox(
                kubeconfig=kubeconfig,
                api=connection.server,
                metrics=store.url,
                slot=slot,
                client=clients[0],
                state_dir=options.state_dir,
            )


async def _api_server(
    stack: AsyncExitStack, options: Options, slot: Slot
) -> tuple[Path, Collection[str] | None]:
    """Start the API server; returns its kubeconfig and which of our controllers are wanted, None for all."""
    kubeconfig = options.state_dir / "kubeconfig"
    kubeconfig.unlink(missing_ok=True)
    kubeconfig.touch(mode=0o600)
    if options.engine == "envtest":
        folder = options.state_dir / "run" / "control-plane"
        shutil.rmtree(folder, ignore_errors=True)  # a certificate and a store of an earlier life
        plane = stack.enter_context(control_plane(folder, service_cidr=slot.services, controllers=True))
        kubeconfig.write_text(plane.kubeconfig.read_text())
        return kubeconfig, ("scheduler", *(() if plane.controllers else NAMES))
    server = await stack.enter_async_context(ApiServer(options.data_dir, service_cidr=slot.services))
    kubeconfig.write_text(server.kubeconfig())
    return kubeconfig, None


@asynccontextmanager
async def _running(rooms: dict[str, Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """The rooms as tasks of this block; one that fails ends it, and all end with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(room, name=name) for name, room in rooms.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _install_kinds(client: Client) -> None:
    """Create our own CRDs and those of the traffic APIs, or bring kept ones up to date."""
    async with Cluster(client) as cluster:
        for definition in (*flagger_crds.manifests(), *provider_crds.manifests()):
            await ensure(cluster, CRD, definition)


async def _ready(client: Client, plane: DataPlane, store: MetricsStore) -> None:
    waits = {
        "the data plane": plane.ready.wait(),
        "the metrics store": store.ready.wait(),
        "the node": _node_is_there(client),
    }
    for part, wait in waits.items():
        try:
            async with asyncio.timeout(READY_WITHIN):
                await wait
        except TimeoutError as error:
            raise SandboxError(f"{part} did not come up within {READY_WITHIN:.0f} s") from error


async def _node_is_there(client: Client) -> None:
    seen = asyncio.Event()
    async with Cluster(client) as cluster:
        cluster.subscribe(NODE, lambda _, node: seen.set() if node else None)
        await seen.wait()
