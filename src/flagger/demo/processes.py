"""The two processes of the demo: the sandbox and, knowing nothing of it but a kubeconfig, the operator."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from flagger import __version__
from flagger.sandbox.state import Record, is_alive, read_record, record_path, stop_process, write_record

SANDBOX_WITHIN, OPERATOR_WITHIN = 20.0, 15.0  # seconds
_POLL = 0.05  # seconds
_TAIL = 12  # lines of a log that are shown


class StartError(Exception):
    """A process did not come up; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is running; `operator` is where the operator's own endpoints are."""

    record: Record
    operator: str
    state_dir: Path


async def start(state_dir: Path, engine: str, floor: str) -> Stage:
    """Start both; what an earlier demo left is stopped first.

    Raises:
        StartError: one of them did not come up.
    """
    left = read_record(state_dir)
    if left is not None:
        await asyncio.to_thread(_stop, left)
    record = await _start_sandbox(state_dir, engine)
    port = _free_port()
    operator = _spawn(state_dir / "log" / "operator.log", operator_arguments(record, floor, port))
    record = Record(
        pid=record.pid,
        version=__version__,
        kubeconfig=record.kubeconfig,
        api=record.api,
        metrics=record.metrics,
        operator=operator.pid,
    )
    write_record(state_dir, record)
    stage = Stage(record, f"http://127.0.0.1:{port}", state_dir)
    await _wait_for_operator(stage, operator)
    return stage


def operator_arguments(record: Record, floor: str, port: int) -> list[str]:
    """The operator's command line; the metrics server is named as in a cluster."""
    return [
        "run",
        f"-kubeconfig={record.kubeconfig}",
        "-mesh-provider=gatewayapi:v1",
        "-metrics-server=http://prometheus.monitoring:9090",
        f"-analysis-interval-floor={floor}",
        "-address=127.0.0.1",
        f"-port={port}",
        "-log-level=info",
    ]


async def stop(state_dir: Path) -> None:
    """End both and everything that they have started."""
    record = read_record(state_dir)
    if record is not None:
        await asyncio.to_thread(_stop, record)
    record_path(state_dir).unlink(missing_ok=True)


def _stop(record: Record) -> None:
    for pid in filter(None, (record.operator, record.pid)):
        stop_process(pid)


async def _start_sandbox(state_dir: Path, engine: str) -> Record:
    log = state_dir / "log" / "sandbox.log"
    arguments = ["sandbox", "serve", "--state-dir", str(state_dir), "--engine", engine]
    process = _spawn(log, [*arguments, "--scrape-interval", "0.5"])
    try:
        async with asyncio.timeout(SANDBOX_WITHIN):
            while is_alive(process.pid):
                record = read_record(state_dir)
                if record is not None and record.pid == process.pid:
                    return record
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise StartError(_report("the sandbox", log)) from None
    finally:
        record = read_record(state_dir)
        if record is None or record.pid != process.pid:
            await asyncio.to_thread(stop_process, process.pid)
    raise StartError(_report("the sandbox", log))


async def _wait_for_operator(stage: Stage, process: subprocess.Popen[bytes]) -> None:
    try:
        async with asyncio.timeout(OPERATOR_WITHIN), aiohttp.ClientSession() as session:
            while is_alive(process.pid):
                if await _is_ready(session, stage.operator):
                    return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise StartError(_report("the operator", stage.state_dir / "log" / "operator.log")) from None
    raise StartError(_report("the operator", stage.state_dir / "log" / "operator.log"))


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _spawn(log: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """A process in a session of its own: a Ctrl-C in the terminal is ours to act on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flagger", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def _report(what: str, log: Path) -> str:
    tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-_TAIL:])
    return f"{what} did not come up; the end of {log}:\n{tail}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
