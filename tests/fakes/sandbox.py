"""A sandbox and an operator as processes of their own, as users run them. Both end with their fixture, by pid."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flagger.sandbox.options import Options
from flagger.sandbox.state import Record, running

UP_WITHIN = 90.0  # seconds; that is for a real control plane on a busy machine
READY_WITHIN = 20.0  # seconds
STOP_WITHIN = 30.0  # seconds
METRICS = "prometheus" if shutil.which("prometheus") else "embedded"
"""The truth where it is installed."""


@dataclass
class SandboxProcess:
    """A sandbox: can be stopped and started again with the same options."""

    options: Options
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def record(self) -> Record:
        """Where its parts are."""
        record = running(self.options.state_dir)
        assert record is not None, f"the sandbox is gone:\n{tail(self.log)}"
        return record

    @property
    def kubeconfig(self) -> Path:
        return self.options.state_dir / "kubeconfig"

    @property
    def log(self) -> Path:
        return self.options.state_dir / "log" / "sandbox.log"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = flagger(["sandbox", "serve", *self.options.arguments()], self.log)
        deadline = time.monotonic() + UP_WITHIN
        while running(self.options.state_dir) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                stop(self.process)
                pytest.fail(f"no sandbox:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        stop(self.process)


@dataclass
class OperatorProcess:
    """`flagger run`: can be killed and started again. It gets a kubeconfig and nothing else of the sandbox."""

    kubeconfig: Path
    log: Path
    flags: Sequence[str] = ()
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it and wait until its caches are filled."""
        port = free_port()
        arguments = [
            "run",
            f"-kubeconfig={self.kubeconfig}",
            "-mesh-provider=gatewayapi:v1",
            "-metrics-server=http://prometheus.monitoring:9090",
            "-analysis-interval-floor=1s",
            "-address=127.0.0.1",
            f"-port={port}",
            *self.flags,
        ]
        self.process = flagger(arguments, self.log)
        deadline = time.monotonic() + READY_WITHIN
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                stop(self.process)
                pytest.fail(f"no operator:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        stop(self.process)

    def kill(self) -> None:
        """SIGKILL: it has no chance to finish anything."""
        self.process.kill()
        self.process.wait()


@contextmanager
def a_sandbox(options: Options) -> Iterator[SandboxProcess]:
    """A running sandbox for as long as the block lasts."""
    sandbox = SandboxProcess(options)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


@contextmanager
def an_operator(sandbox: SandboxProcess, *flags: str) -> Iterator[OperatorProcess]:
    """A running operator for as long as the block lasts."""
    operator = OperatorProcess(sandbox.kubeconfig, sandbox.log.with_name("operator.log"), flags)
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One sandbox for all tests, with a real Prometheus where there is one: tests use namespaces of their own."""
    options = Options(state_dir=tmp_path_factory.mktemp("sandbox"), metrics=METRICS)
    with a_sandbox(options) as process:
        yield process


@pytest.fixture(scope="session")
def operator(sandbox: SandboxProcess) -> Iterator[OperatorProcess]:
    """One operator for all tests; who kills it starts it again."""
    with an_operator(sandbox) as process:
        yield process


def flagger(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Run `flagger …` with its output added to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flagger", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, politely at first."""
    process.terminate()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Does it say 200?"""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def processes_of(path: Path) -> dict[int, str]:
    """The processes that have `path` in their command line or environment: what a state directory keeps busy."""
    wanted, found = os.fsencode(path), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours to look at
        if int(folder.name) != os.getpid() and (wanted in line or wanted in environment):
            found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
