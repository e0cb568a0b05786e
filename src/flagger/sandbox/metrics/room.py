"""The metrics room: targets from the cluster, an engine that scrapes them, a Service that leads to it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.sandbox.metrics.discovery import Discovery
from flagger.sandbox.metrics.embedded import EmbeddedEngine
from flagger.sandbox.metrics.engine_prometheus import PrometheusEngine
from flagger.sandbox.metrics.listening import HOST
from flagger.sandbox.metrics.publish import publish
from flagger.sandbox.metrics.scrape import Pace
from flagger.sandbox.metrics.store import Limits
from flagger.sandbox.metrics.targets import Target

log = structlog.get_logger(__name__)

_SOONEST, _LATEST = 0.1, 5.0
"""Seconds before publishing is tried again."""


class Engine(Protocol):
    """What scrapes and answers queries."""

    def aim(self, targets: frozenset[Target]) -> None:
        """Scrape these targets from now on, and no others."""

    async def run(self, on_listening: Callable[[int], None]) -> None:
        """Scrape and answer until cancelled; `on_listening` gets the port of the HTTP API."""


class MetricsStore:
    """A Prometheus for the cluster, published as Service `prometheus` in namespace `monitoring`."""

    def __init__(
        self,
        client: Client,
        *,
        state_dir: Path,
        port: int = 0,
        engine: str = "embedded",
        scrape_interval: timedelta = timedelta(seconds=1),
        retention: timedelta = timedelta(hours=1),
    ) -> None:
        """`engine` is `embedded` or `prometheus` (a real one from PATH); `port` 0 takes a free one.

        Raises:
            PrometheusError: there is no Prometheus on PATH.
            ValueError: there is no such engine.
        """
        self.ready = asyncio.Event()
        """Set when queries are answered and the Service is published."""
        self._client = client
        self._port = port
        self._listening = asyncio.Event()
        pace = Pace(scrape_interval)
        self._engine: Engine
        if engine == "embedded":
            self._engine = EmbeddedEngine(Limits(retention), pace, port=port)
        elif engine == "prometheus":
            self._engine = PrometheusEngine(state_dir, retention, pace, port=port)
        else:
            raise ValueError(f"no metrics engine {engine!r}: choose embedded or prometheus")

    @property
    def url(self) -> str:
        """The base URL of the HTTP API; right once `ready` is set."""
        return f"http://{HOST}:{self._port}"

    async def run(self) -> None:
        """Discover, scrape, answer and be published until cancelled.

        Raises:
            PrometheusError: the real Prometheus did not start, or ended.
            OSError: the port is taken.
        """
        discovery = Discovery(self._client, self._engine.aim)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._engine.run(self._on_listening))
            tasks.create_task(discovery.run())
            tasks.create_task(self._publish())

    def _on_listening(self, port: int) -> None:
        self._port = port
        self._listening.set()

    async def _publish(self) -> None:
        """Publish once it is known where; a server that cannot be asked now is asked again."""
        await self._listening.wait()
        pause = _SOONEST
        while not self.ready.is_set():
            try:
                await publish(self._client, HOST, self._port)
                self.ready.set()
            except KubeError as error:
                log.warning("metrics store not published yet", problem=str(error))
                await asyncio.sleep(pause)
                pause = min(_LATEST, pause * 2)
        log.info("metrics store ready", url=self.url)
