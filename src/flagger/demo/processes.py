"""The two processes of the demo: the sandbox and, knowing nothing of it but a kubeconfig, the operator."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp

from flagger import __version__
from flagger.demo.scene import MADE_HERE, NAMESPACE_NAME, PROVIDER
from flagger.kube.client import Client
from flagger.kube.errors import NotFound
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import NAMESPACE, annotations_of
from flagger.sandbox.daemon import StartError, remember, report, spawn, start
from flagger.sandbox.options import Options
from flagger.sandbox.state import Record, read_record, running, stop_all

OPERATOR_WITHIN, GONE_WITHIN = 15.0, 20.0  # seconds
FLOOR = "1s"
SCRAPE = timedelta(seconds=0.5)
_POLL = 0.05  # seconds


@dataclass(slots=True)
class Crew:
    """Starts the processes and ends those that it started.

    A sandbox that somebody has started by hand is used and left; one of an earlier demo is replaced.
    """

    state_dir: Path
    engine: str
    found: Record | None = field(default=None, init=False)

    def look(self) -> str:
        """Find out what is there; returns a remark about it, or nothing."""
        left = read_record(self.state_dir)
        up = running(self.state_dir)
        if up is not None and not up.by_demo and (up.version, up.engine) == (__version__, self.engine):
            self.found = up
            return f"using the sandbox that is up, pid {up.sandbox.pid}"
        if up is not None:
            return f"replacing the sandbox of {'an earlier demo' if up.by_demo else f'flagger {up.version}'}"
        alive = left is not None and any(
            process is not None and process.alive for process in (left.sandbox, left.operator)
        )
        return "cleaning up after a demo that was killed" if alive else ""

    async def start_sandbox(self) -> Record:
        """A sandbox with an empty stage.

        Raises:
            StartError: it did not come up, or its stage belongs to somebody else.
        """
        if self.found is None:
            options = Options(
                state_dir=self.state_dir, engine=self.engine, scrape_interval=SCRAPE, by_demo=True
            )
            return await start(options)
        if self.found.operator is not None:
            await asyncio.to_thread(self.found.operator.stop)
        await _clear(self.found)
        return self.found

    async def start_operator(self, record: Record) -> None:
        """The operator, ready to work.

        Raises:
            StartError: it did not come up.
        """
        port, log = _free_port(), self.state_dir / "log" / "operator.log"
        operator = spawn(log, operator_arguments(record, port))
        remember(self.state_dir, operator=operator)
        try:
            async with asyncio.timeout(OPERATOR_WITHIN), aiohttp.ClientSession() as session:
                ready = False
                while operator.alive and not ready:
                    ready = await _is_ready(session, port)
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise StartError(report("the operator", log)) from error
        if not operator.alive:
            raise StartError(report("the operator", log))

    async def dismiss(self) -> None:
        """End what was started here."""
        if self.found is None:
            await asyncio.to_thread(stop_all, self.state_dir)
            return
        record = read_record(self.state_dir)
        if record is not None and record.operator is not None:
            await asyncio.to_thread(record.operator.stop)
            remember(self.state_dir, operator=None)
            await _clear(self.found)


def operator_arguments(record: Record, port: int) -> list[str]:
    """The operator's command line; the metrics server is named as in a cluster."""
    return [
        "run",
        f"-kubeconfig={record.kubeconfig}",
        f"-mesh-provider={PROVIDER}",
        "-metrics-server=http://prometheus.monitoring:9090",
        f"-analysis-interval-floor={FLOOR}",
        "-address=127.0.0.1",
        f"-port={port}",
        "-log-level=info",
    ]


async def _clear(record: Record) -> None:
    """Remove what an earlier demo left on the stage.

    Raises:
        StartError: somebody else made it, or it does not go.
    """
    async with Client(load_connection(Path(record.kubeconfig))) as client:
        try:
            async with asyncio.timeout(GONE_WITHIN):
                namespace = await client.get(NAMESPACE, NAMESPACE_NAME)
                if MADE_HERE not in annotations_of(namespace):
                    raise StartError(f"namespace {NAMESPACE_NAME} exists and was not made by the demo")
                await client.delete(NAMESPACE, NAMESPACE_NAME)
                while True:
                    await client.get(NAMESPACE, NAMESPACE_NAME)
                    await asyncio.sleep(_POLL)
        except NotFound:
            return
        except TimeoutError as error:
            raise StartError(f"namespace {NAMESPACE_NAME} is not gone after {GONE_WITHIN:.0f} s") from error


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
