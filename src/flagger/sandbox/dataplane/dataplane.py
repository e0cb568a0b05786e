"""The data plane: watches objects, works out what they ask for, has Envoy serve it, and reports."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import msgspec
import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import NODE, SERVICE
from flagger.sandbox.dataplane.addresses import assign, proxy_address
from flagger.sandbox.dataplane.admin import AdminUnreachableError
from flagger.sandbox.dataplane.bootstrap import bootstrap
from flagger.sandbox.dataplane.caches import Caches
from flagger.sandbox.dataplane.delivery import Delivery
from flagger.sandbox.dataplane.discovery import Discovery, NotAppliedError
from flagger.sandbox.dataplane.emit import resources
from flagger.sandbox.dataplane.envoy import EnvoyProcess
from flagger.sandbox.dataplane.kinds import CONTROLLER, GATEWAY, GATEWAY_CLASS, NODE_NAME
from flagger.sandbox.dataplane.node import annotate, notes
from flagger.sandbox.dataplane.plan import Outcome, plan_for
from flagger.sandbox.dataplane.proxy import PORT
from flagger.sandbox.dataplane.snapshot import LOWEST_FREE_PORT, Site, Snapshot
from flagger.sandbox.dataplane.status import StatusWriter
from flagger.sandbox.dataplane.translators.table import kinds_read

GATHERING = 0.005  # seconds in which further changes join the first one
RETRY = 1.0  # seconds after which something that failed is tried again
REBIND = 2.0  # seconds after which listeners that could not be bound are tried again
log = structlog.get_logger(__name__)


class DataPlane:
    """Serves every Service address and Gateway of a cluster by an Envoy of its own.

    `ready` is set once everything that was there at the start is served.
    """

    def __init__(
        self,
        client: Client,
        *,
        state_dir: Path,
        cidr: str = "127.96.0.0/16",
        gateway_class: str = "sandbox",
        low_ports: bool | None = None,
        access_log: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`cidr` holds the Services' addresses and ours; `gateway_class` is created if it is not there.

        `low_ports` says whether ports below 1024 may be bound; None finds out. `access_log` writes a line for
        each HTTP request to `log/access.log`, which grows without limit.

        Raises:
            EnvoyMissingError: there is no Envoy.
        """
        network = IPv4Network(cidr)
        proxy = proxy_address(network)
        allowed = may_bind_low_ports(proxy) if low_ports is None else low_ports
        self.ready = asyncio.Event()
        self._site = Site(network, allowed, (proxy, PORT))
        self._client = client
        self._class = gateway_class
        self._changed = asyncio.Event()
        self._served = asyncio.Event()
        self._outcome: Outcome | None = None
        self._rebinding: asyncio.TimerHandle | None = None
        self._caches = Caches(client, [*kinds_read(), NODE], self._changed.set)
        self._writer = StatusWriter(client, self._caches.learn, now)
        logs = state_dir.resolve() / "log"
        self._access_log = str(logs / "access.log") if access_log else ""
        self._discovery = Discovery()
        self._envoy = EnvoyProcess(
            state_dir.resolve() / "run" / "envoy",
            logs / "envoy.log",
            bootstrap=self._bootstrap,
            on_change=self._changed.set,
        )
        self._delivery = Delivery(self._discovery, lambda: self._envoy.admin)

    @property
    def admin_address(self) -> str:
        """Where Envoy's admin port is (`host:port`), "" while Envoy is away."""
        return self._envoy.admin.address if self._envoy.admin else ""

    @property
    def proxy(self) -> str:
        """The forward proxy's URL."""
        host, port = self._site.proxy
        return f"http://{host}:{port}"

    async def run(self) -> None:
        """Serve until cancelled; leaves no process behind."""
        async with self._discovery, asyncio.TaskGroup() as group:
            group.create_task(self._caches.run())
            group.create_task(self._envoy.run())
            group.create_task(self._serve())
            group.create_task(self._report())

    def _bootstrap(self) -> bytes:
        return msgspec.json.encode(bootstrap(self._discovery.begin_session(), self._discovery.port))

    async def _serve(self) -> None:
        """Have Envoy serve what the objects ask for, again after every change."""
        await self._caches.wait_listed()
        self._changed.set()
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHERING)
            self._changed.clear()
            try:
                await self._deliver(self._look())
            except AdminUnreachableError:
                continue  # its coming back is a change
            except NotAppliedError as error:
                log.warning("envoy is slow", error=str(error))
                self._again(RETRY)

    def _look(self) -> Snapshot:
        seen = self._caches.snapshot(self._site)
        taken = [service["spec"].get("clusterIP", "") for service in seen.all(SERVICE)]
        addresses = assign(seen.all(GATEWAY), self._site.cidr, taken, self._site.gateway_addresses)
        if addresses == self._site.gateway_addresses:
            return seen
        self._site = replace(self._site, gateway_addresses=addresses)
        return self._caches.snapshot(self._site)

    async def _deliver(self, seen: Snapshot) -> None:
        outcome = plan_for(seen)
        broken = await self._delivery.deliver(resources(outcome.plan, self._access_log))
        if broken != self._site.broken:
            log.warning("listeners refused", listeners=dict(broken))
            self._site = replace(self._site, broken=broken)
            outcome = plan_for(self._caches.snapshot(self._site))
        if broken and self._rebinding is None:
            self._rebinding = asyncio.get_running_loop().call_later(REBIND, self._rebind)
        self._outcome = outcome
        self._served.set()

    async def _report(self) -> None:
        """Tell objects what became of them, after it did, and without holding up the next change."""
        while True:
            await self._served.wait()
            self._served.clear()
            seen, outcome = self._caches.snapshot(self._site), self._outcome
            told = outcome is None or await self._writer.write(outcome.reports)
            noted = await self._annotate(seen)
            classed = await self._create_class(seen)
            if not (told and noted and classed):
                self._again(RETRY)
            if self.admin_address:
                self.ready.set()

    async def _annotate(self, seen: Snapshot) -> bool:
        if not self.admin_address:
            return True  # its coming back is a change
        node = seen.get(NODE, "", NODE_NAME)
        wanted = notes(self._site, self.admin_address)
        return await annotate(self._client, node, wanted, self._caches.learn)

    async def _create_class(self, seen: Snapshot) -> bool:
        if not seen.has(GATEWAY_CLASS) or seen.get(GATEWAY_CLASS, "", self._class) is not None:
            return True
        body = {"metadata": {"name": self._class}, "spec": {"controllerName": CONTROLLER}}
        try:
            self._caches.learn(GATEWAY_CLASS, await self._client.create(GATEWAY_CLASS, body))
        except KubeError as error:
            log.warning("gateway class not created", name=self._class, error=str(error))
            return False
        return True

    def _rebind(self) -> None:
        self._rebinding = None
        self._delivery.try_again()
        self._changed.set()

    def _again(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self._changed.set)


def may_bind_low_ports(address: str) -> bool:
    """Does this machine let us listen on ports below 1024?"""
    with socket.socket() as probe:
        try:
            probe.bind((address, LOWEST_FREE_PORT - 1))
        except PermissionError:
            return False
        except OSError:
            return True  # somebody has the port, so it is not a matter of permission
    return True
