"""The operator process: wires the parts, starts and stops them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import structlog

from flagger import __version__
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.errors import ConfigError, KindMissing
from flagger.kube.kubeconfig import load_connection
from flagger.kube.lease import NAME, LeaderElection, Terms
from flagger.kube.resolver import ServiceResolver
from flagger.metrics.analysis import MetricAnalysis
from flagger.notify.alerts import Alerts
from flagger.notify.events import Announcer
from flagger.notify.posting import Poster
from flagger.notify.webhooks import Webhooks
from flagger.outbound import Outbound
from flagger.routing.services import Services
from flagger.routing.sync import Routes
from flagger.runtime.advance import Advance
from flagger.runtime.health import endpoints
from flagger.runtime.kinds import CANARY
from flagger.runtime.notifier import default_receiver
from flagger.runtime.schedule import Schedule
from flagger.runtime.settings import Settings
from flagger.runtime.signals import until_signalled
from flagger.runtime.telemetry import Telemetry
from flagger.runtime.watch import Watch
from flagger.runtime.world import World
from flagger.workloads.base import Options
from flagger.workloads.checksums import SLIM
from flagger.workloads.table import Workloads

log = structlog.get_logger(__name__)

LAST_WORDS = 2.0  # seconds to deliver what has been announced, at the end
POPULATION_PERIOD = 10.0  # seconds between updates of flagger_canary_total


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


async def operate(settings: Settings) -> None:
    """Run the operator until it is told to stop.

    Raises:
        ConfigError: no cluster can be found with the configuration at hand, or it lacks our CRDs.
        KubeError: the cluster can't be reached, or refuses us.
        LeaseLost: another replica became the leader.
        OSError: the port can't be had.
    """
    log.info("starting flagger", version=__version__, mesh_provider=settings.mesh_provider)
    await until_signalled(_serve(settings))


async def _serve(settings: Settings) -> None:
    """What every replica runs: caches and endpoints; the leader works."""
    async with AsyncExitStack() as stack:
        connection = load_connection(settings.kubeconfig_path, server=settings.master or None)
        client = await stack.enter_async_context(Client(connection, user_agent=f"flagger/{__version__}"))
        election = _election(client, settings)
        writer = client.guarded(election.guard) if election else client
        caches = Cluster(writer, namespace=settings.watched_namespace, slim=SLIM)
        cluster = await stack.enter_async_context(caches)
        operator = Operator.of(await world_of(stack, cluster, client, settings))
        registry = operator.world.telemetry.registry
        await stack.enter_async_context(
            endpoints(settings.address, settings.port_number, registry, lambda: cluster.is_synced(CANARY))
        )
        await _check(client, cluster)
        await (election.lead(operator.run) if election else operator.run())


async def world_of(stack: AsyncExitStack, cluster: Cluster, teller: Client, settings: Settings) -> World:
    """Everything a tick works with; what must be closed is closed with `stack`.

    `teller` writes the Events. It is not fenced: what was done must be told, even if the lease is lost since.
    """
    resolver = None if settings.in_cluster else ServiceResolver(cluster)
    outbound = await stack.enter_async_context(Outbound(resolver=resolver))
    webhooks = Webhooks(outbound)
    announcer = Announcer(teller, webhooks, event_webhook=settings.event_webhook)
    options = Options(
        labels=settings.labels,
        prefixes=settings.label_prefixes,
        track_configs=settings.enable_config_tracking,
    )
    server, mesh = settings.metrics_server, settings.mesh_provider
    return World(
        cluster=cluster,
        settings=settings,
        clock=utc_now,
        workloads=Workloads(cluster, options),
        services=Services(cluster),
        routes=Routes(cluster),
        metrics=MetricAnalysis(cluster, outbound, metrics_server=server, mesh=mesh),
        webhooks=webhooks,
        announcer=announcer,
        alerts=Alerts(
            cluster,
            Poster(outbound, proxies=settings.proxies),
            announcer,
            cluster_name=settings.cluster_name,
            default=default_receiver(settings),
        ),
        telemetry=Telemetry(__version__, mesh),
    )


@dataclass(frozen=True, slots=True)
class Operator:
    """What the leader runs: changes wake Canaries, the schedule ticks them, the announcer tells."""

    world: World
    schedule: Schedule
    watch: Watch

    @classmethod
    def of(cls, world: World) -> Operator:
        """The parts, put together; nothing runs yet."""
        advance = Advance(world)
        schedule = Schedule(advance)
        return cls(world, schedule, Watch(world, schedule, advance))

    async def run(self) -> None:
        """Work until cancelled; what has been announced by then is still delivered."""
        self.watch.start()
        async with asyncio.TaskGroup() as background:
            telling = [
                background.create_task(self.world.announcer.run(), name="announcements"),
                background.create_task(self.world.alerts.run(), name="alerts"),
            ]
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.schedule.run(), name="ticks")
                    group.create_task(self._count(), name="population")
            finally:
                await self._tell_the_rest()
                for task in telling:
                    task.cancel()

    async def _count(self) -> None:
        while True:
            self.world.telemetry.population(self.world.registry.population())
            await asyncio.sleep(POPULATION_PERIOD)

    async def _tell_the_rest(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                await asyncio.gather(self.world.announcer.drain(), self.world.alerts.drain())
        except TimeoutError:
            log.warning("some events or alerts could not be delivered before the end")


async def _check(client: Client, cluster: Cluster) -> None:
    """See to it that there is a cluster and that it knows Canaries, before anything is promised."""
    version = msgspec.json.decode(await client.raw("GET", "/version"), type=dict[str, str])
    log.info("connected", server=client.connection.server, version=version.get("gitVersion", ""))
    try:
        await cluster.list(CANARY)
    except KindMissing as error:
        raise ConfigError(
            f"Canary CRD is not registered: {error}; install it with kubectl apply -f deploy/crds"
        ) from error


def _election(client: Client, settings: Settings) -> LeaderElection | None:
    if not settings.enable_leader_election:
        return None
    namespace = settings.namespace or settings.leader_election_namespace
    terms = Terms(settings.lease_duration, settings.lease_renew_deadline, settings.lease_retry_period)
    return LeaderElection(client, namespace, NAME, f"{socket.gethostname()}_{uuid4()}", terms=terms)
