"""Leader election on a Lease (coordination.k8s.io/v1), and the fence that keeps a former leader from writing.

Times are upstream's. A candidate takes over only after it has seen the lease unchanged for its whole
duration, by its own clock; a leader stops believing in itself `renew_deadline` after the start of its last
successful renewal. So there is a gap between the two whatever their clocks of day say.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from flagger.kube.exec_plugin import wall_clock
from flagger.kube.objects import LEASE, Object, resource_version_of

NAME = "flagger-leader-election"
RELEASE = 5.0  # seconds to give the lease back at the end
NEVER = float("-inf")
log = structlog.get_logger(__name__)


class LeaseLost(Exception):  # noqa: N818 -- a fact, in the words of the rest of this module
    """This process is not the leader (any more) and must not write."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts without renewal, how long a leader trusts a renewal, how often it is renewed."""

    duration: timedelta = timedelta(seconds=60)
    renew_deadline: timedelta = timedelta(seconds=15)
    retry: timedelta = timedelta(seconds=5)


def steady_clock() -> float:
    """Seconds on a clock that nobody sets and that, on Linux, goes on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class LeaderElection:
    """One candidate. Its own client must not be guarded by it: the guard would keep it from acquiring."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        terms: Terms | None = None,
        clock: Callable[[], float] = steady_clock,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        """`identity` is this process's alone; `clock` is steady, in seconds; `now` is the time of day."""
        self.identity = identity
        self.leader = ""  # the identity last seen on the lease
        self._client = client
        self._namespace = namespace
        self._name = name
        self._terms = terms or Terms()
        self._clock = clock
        self._now = now
        self._lease: Object | None = None
        self._seen_at = NEVER
        self._held_until = NEVER

    def held(self) -> bool:
        """May this process write now? Right even when the event loop was blocked or the process stopped."""
        return self._clock() < self._held_until

    def guard(self) -> None:
        """For `Client.guarded`: let a write pass only while the lease is held.

        Raises:
            LeaseLost: it is not.
        """
        if not self.held():
            raise LeaseLost(f"{self.identity} does not hold lease {self._namespace}/{self._name}")

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for leadership, run `work` while it lasts, give the lease back when `work` is over.

        When cancelled, the lease is renewed until `work` has finished its own cleaning up.

        Raises:
            LeaseLost: leadership was lost; `work` has been cancelled and has ended.
        """
        await self._acquire()
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._keep(), name="renew lease")
                try:
                    await work()
                finally:
                    renewing.cancel()
        except BaseExceptionGroup as failures:
            if len(failures.exceptions) > 1:
                raise
            raise failures.exceptions[0] from None
        finally:
            await self._release()

    async def _acquire(self) -> None:
        log.info("waiting for leadership", id=self.identity, lease=self._name, namespace=self._namespace)
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(self._terms.retry.total_seconds() * random.uniform(1.0, 1.2))
        log.info("acting as elected leader", id=self.identity)

    async def _keep(self) -> None:
        """Renew until that fails for too long, or somebody else is the leader."""
        while True:
            await asyncio.sleep(self._terms.retry.total_seconds())
            try:
                async with asyncio.timeout(self._held_until - self._clock()):
                    await self._attempt()
            except TimeoutError:
                log.warning("the lease could not be renewed in time", id=self.identity)
            if not self.held() or self.leader != self.identity:
                self._held_until = NEVER
                log.error("leadership lost", id=self.identity, leader=self.leader)
                raise LeaseLost(f"{self.identity} lost lease {self._namespace}/{self._name}")

    async def _attempt(self) -> bool:
        """Take or renew the lease, if that may be done; is it ours now?"""
        started = self._clock()
        try:
            if self._lease is None or self.leader != self.identity:
                await self._look()
            if not self._is_free():
                return False
            self._observe(await self._claim())
        except (Conflict, AlreadyExists, NotFound):
            self._lease = None  # somebody else wrote or deleted it; look again before the next attempt
            return False
        except KubeError as error:
            log.warning("the lease could not be read or written", id=self.identity, problem=str(error))
            return False
        self._held_until = started + self._terms.renew_deadline.total_seconds()
        return True

    async def _look(self) -> None:
        try:
            self._observe(await self._client.get(LEASE, self._name, self._namespace))
        except NotFound:
            # Whoever held it may still believe so: `leader` stays, and with it the time to wait.
            self._lease = None

    def _observe(self, lease: Object) -> None:
        if self._lease is None or self._lease.get("spec") != lease.get("spec"):
            self._seen_at = self._clock()
        leader = lease.get("spec", {}).get("holderIdentity") or ""
        if leader and leader not in {self.leader, self.identity}:
            log.info("another instance has been elected as leader", leader=leader)
        self._lease, self.leader = lease, leader

    def _is_free(self) -> bool:
        if self.leader in {"", self.identity}:
            return True
        spec = (self._lease or {}).get("spec", {})
        promised = spec.get("leaseDurationSeconds") or self._terms.duration.total_seconds()
        return bool(self._clock() - self._seen_at >= promised)

    async def _claim(self) -> Object:
        """Write ourselves into the lease as it was last seen; a Conflict means that it changed."""
        now = micro_time(self._now())
        spec: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": round(self._terms.duration.total_seconds()),
            "renewTime": now,
        }
        if self._lease is None:
            metadata: Object = {"name": self._name, "namespace": self._namespace}
            spec |= {"acquireTime": now, "leaseTransitions": 0}
            return await self._client.create(LEASE, {"metadata": metadata, "spec": spec})
        if self.leader != self.identity:
            transitions = self._lease.get("spec", {}).get("leaseTransitions") or 0
            spec |= {"acquireTime": now, "leaseTransitions": transitions + 1}
        return await self._change(self._lease, spec)

    async def _release(self) -> None:
        """Give the lease back, so that a successor need not wait for its end; to fail only costs time."""
        self._held_until = NEVER
        if self._lease is None or self.leader != self.identity:
            return
        now = micro_time(self._now())
        spec = {"holderIdentity": None, "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        try:
            async with asyncio.timeout(RELEASE):
                self._observe(await self._change(self._lease, spec))
        except (KubeError, TimeoutError) as error:
            log.warning("the lease could not be released", id=self.identity, problem=str(error))

    async def _change(self, lease: Object, spec: Object) -> Object:
        patch = {"metadata": {"resourceVersion": resource_version_of(lease)}, "spec": spec}
        return await self._client.patch(LEASE, self._name, self._namespace, patch)


def micro_time(moment: datetime) -> str:
    """A time in the API's MicroTime form: UTC with exactly six decimals."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
