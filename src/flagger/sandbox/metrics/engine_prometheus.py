"""The real thing: a `prometheus` from PATH as a child process, which finds its targets through us."""

import asyncio
import ctypes
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import structlog
from aiohttp import web

from flagger.sandbox.metrics.listening import HOST, serving
from flagger.sandbox.metrics.scrape import Pace
from flagger.sandbox.metrics.targets import Target

log = structlog.get_logger(__name__)

_START = 30.0
"""Seconds until a started Prometheus has to listen."""
_STOP = 5.0
"""Seconds until a stopped Prometheus is killed."""
_LOG_LINE = 1024 * 1024
"""Bytes that a line of its log may have."""
_LISTENING = re.compile(r'msg="Listening on".* address=\S*:(\d+)')
_READY = "Server is ready"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class PrometheusError(Exception):
    """Prometheus is missing, does not start, or ended."""


def find_prometheus() -> Path:
    """The binary on PATH.

    Raises:
        PrometheusError: there is none; says how to get it.
    """
    found = shutil.which("prometheus")
    if found is None:
        raise PrometheusError(
            "no `prometheus` on PATH: install the package `prometheus` (Debian, Ubuntu: "
            "apt-get install prometheus), or use the embedded metrics store"
        )
    return Path(found)


class PrometheusEngine:
    """Runs Prometheus; it asks us for targets every second and picks changes up within about six."""

    def __init__(self, state_dir: Path, retention: timedelta, pace: Pace, *, port: int = 0) -> None:
        """Data and configuration go to `state_dir`/run/prometheus, the log to `state_dir`/log.

        Raises:
            PrometheusError: there is no Prometheus on PATH.
        """
        self._binary = find_prometheus()
        self._directory = state_dir / "run" / "prometheus"
        self._log_file = state_dir / "log" / "prometheus.log"
        self._retention = retention
        self._pace = pace
        self._port = port
        self._targets: frozenset[Target] = frozenset()

    def aim(self, targets: frozenset[Target]) -> None:
        """Scrape these targets from now on, and no others."""
        self._targets = targets

    async def run(self, on_listening: Callable[[int], None]) -> None:
        """Run Prometheus until cancelled; `on_listening` gets the port of its HTTP API.

        Raises:
            PrometheusError: it did not start, or ended.
        """
        app = web.Application()
        app.router.add_get("/targets", self._serve_targets)
        async with serving(app) as port:
            self._configure(f"http://{HOST}:{port}/targets")
            async with self._process() as process:
                await self._watch(process, on_listening)

    async def _serve_targets(self, request: web.Request) -> web.Response:
        groups = [_group(target) for target in sorted(self._targets, key=lambda target: target.labels)]
        return web.json_response(body=msgspec.json.encode(groups))

    def _configure(self, discovery_url: str) -> None:
        for directory in (self._directory, self._log_file.parent):
            directory.mkdir(parents=True, exist_ok=True)
        interval = f"{self._pace.interval_ms}ms"
        config = {
            # A scrape may not take longer than the interval; Prometheus insists.
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [
                {
                    "job_name": "sandbox",
                    "http_sd_configs": [{"url": discovery_url, "refresh_interval": "1s"}],
                }
            ],
        }
        self._config.write_bytes(msgspec.json.encode(config))  # which is YAML, too

    @property
    def _config(self) -> Path:
        return self._directory / "prometheus.yml"

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            self._binary,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--storage.tsdb.retention.time={int(self._retention.total_seconds())}s",
            f"--web.listen-address={HOST}:{self._port}",
            "--scrape.discovery-reload-interval=1s",  # not listed in its help
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=_LOG_LINE,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to act on
            preexec_fn=_die_with(os.getpid()),
        )
        try:
            yield process
        finally:
            await _stop(process)

    async def _watch(self, process: asyncio.subprocess.Process, on_listening: Callable[[int], None]) -> None:
        """Copy the log, and learn from it where and when Prometheus is ready."""
        assert process.stderr is not None
        recent: deque[str] = deque(maxlen=3)
        port, ready = 0, False
        with self._log_file.open("ab") as log_file:
            try:
                async with asyncio.timeout(_START) as limit:
                    async for line in process.stderr:
                        log_file.write(line)
                        log_file.flush()
                        recent.append(line.decode(errors="replace").strip())
                        if match := _LISTENING.search(recent[-1]):
                            port = int(match[1])
                        ready = ready or _READY in recent[-1]
                        if port and ready and limit.when() is not None:  # either line may come first
                            limit.reschedule(None)
                            on_listening(port)
            except TimeoutError as error:
                raise PrometheusError(f"prometheus is not ready after {_START:.0f} s") from error
        code = await process.wait()
        raise PrometheusError(f"prometheus ended with code {code}: {' | '.join(recent)}")


def _group(target: Target) -> dict[str, Any]:
    """A target in the form of http_sd."""
    parts = urlsplit(target.path)
    labels = dict(target.labels) | {"__scheme__": target.scheme, "__metrics_path__": parts.path}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        labels[f"__param_{name}"] = value or "true"  # a label without a value would not be there
    return {"targets": [target.address], "labels": labels}


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process, at first politely; returns when it is gone."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes Prometheus: have the kernel kill it when we end, however we do."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # we ended in between
            os._exit(1)

    return prepare
