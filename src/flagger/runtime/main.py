"""The operator process: wires the parts, starts and stops them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from flagger import __version__
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.kube.kubeconfig import load_connection
from flagger.kube.lease import NAME, LeaderElection
from flagger.kube.resolver import ServiceResolver
from flagger.metrics.analysis import MetricAnalysis
from flagger.notify.events import Announcer
from flagger.notify.webhooks import Webhooks
from flagger.outbound import Outbound
from flagger.routing.services import Services
from flagger.routing.sync import Routes
from flagger.runtime.advance import Advance
from flagger.runtime.health import endpoints
from flagger.runtime.kinds import CANARY
from flagger.runtime.schedule import Schedule
from flagger.runtime.settings import Settings
from flagger.runtime.telemetry import Telemetry
from flagger.runtime.watch import Watch
from flagger.runtime.world import World
from flagger.workloads.base import Options
from flagger.workloads.table import Workloads

log = structlog.get_logger(__name__)

Work = Callable[[], Coroutine[None, None, None]]

LAST_WORDS = 2.0  # seconds to deliver what has been announced, at the end
POPULATION_PERIOD = 10.0  # seconds between updates of flagger_canary_total


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


async def operate(settings: Settings) -> None:
    """Run the operator until it is told to stop.

    Raises:
        ConfigError: no cluster can be found or reached with the configuration at hand.
        LeaseLost: another replica became the leader.
        OSError: the port can't be had.
    """
    log.info("starting flagger", version=__version__, mesh_provider=settings.mesh_provider)
    stop = asyncio.Event()
    with _signals(stop):
        async with AsyncExitStack() as stack:
            work = await _assemble(stack, settings)
            task = asyncio.create_task(work(), name="operator")
            stopping = asyncio.create_task(stop.wait(), name="signals")
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not task.done():
                log.info("shutting down operator workers")
                task.cancel()
            await asyncio.gather(task, return_exceptions=not task.done())


async def _assemble(stack: AsyncExitStack, settings: Settings) -> Work:
    """Start what every replica runs, and return what only the leader does."""
    client = await stack.enter_async_context(
        Client(_connection(settings), user_agent=f"flagger/{__version__}")
    )
    election = _election(client, settings)
    writer = client.guarded(election.guard) if election else client
    cluster = await stack.enter_async_context(Cluster(writer, namespace=settings.watched_namespace))
    world = await _world(stack, cluster, settings)
    advance = Advance(world)
    schedule = Schedule(advance)
    watch = Watch(cluster, settings, world.workloads, schedule, advance, world.clock)
    port = int(settings.port)
    ready = lambda: cluster.is_synced(CANARY)  # noqa: E731 - a name for what /readyz asks
    await stack.enter_async_context(endpoints(settings.address, port, world.telemetry.registry, ready))

    async def work() -> None:
        watch.start()
        async with asyncio.TaskGroup() as background:
            telling = background.create_task(world.announcer.run(), name="announcements")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(schedule.run(), name="ticks")
                    group.create_task(_count(watch, world.telemetry), name="population")
            finally:
                await _tell_the_rest(world)
                telling.cancel()

    return (lambda: election.lead(work)) if election else work


async def _world(stack: AsyncExitStack, cluster: Cluster, settings: Settings) -> World:
    resolver = None if os.environ.get("KUBERNETES_SERVICE_HOST") else ServiceResolver(cluster)
    outbound = await stack.enter_async_context(Outbound(resolver=resolver))
    webhooks = Webhooks(outbound)
    options = Options(labels=settings.labels, prefixes=settings.label_prefixes)
    return World(
        cluster=cluster,
        settings=settings,
        clock=utc_now,
        workloads=Workloads(cluster, options),
        services=Services(cluster),
        routes=Routes(cluster),
        metrics=MetricAnalysis(
            cluster, outbound, metrics_server=settings.metrics_server, mesh=settings.mesh_provider
        ),
        webhooks=webhooks,
        announcer=Announcer(cluster.client, webhooks, event_webhook=settings.event_webhook),
        telemetry=Telemetry(__version__, settings.mesh_provider),
    )


def _connection(settings: Settings) -> Connection:
    connection = load_connection(settings.kubeconfig_path)
    return replace(connection, server=settings.master) if settings.master else connection


def _election(client: Client, settings: Settings) -> LeaderElection | None:
    if not settings.enable_leader_election:
        return None
    namespace = settings.namespace or settings.leader_election_namespace
    return LeaderElection(client, namespace, NAME, f"{socket.gethostname()}_{uuid4()}")


async def _tell_the_rest(world: World) -> None:
    try:
        async with asyncio.timeout(LAST_WORDS):
            await world.announcer.drain()
    except TimeoutError:
        log.warning("some events could not be delivered before the end")


async def _count(watch: Watch, telemetry: Telemetry) -> None:
    while True:
        telemetry.population(watch.population())
        await asyncio.sleep(POPULATION_PERIOD)


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops in order, the second at once."""
    loop = asyncio.get_running_loop()

    def receive() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, receive)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
