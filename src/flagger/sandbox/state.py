"""What a sandbox leaves in its state directory, so that later commands find it and can end it."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

STOP_WITHIN = 15.0  # seconds until a process that was asked to stop is killed
_POLL = 0.02  # seconds


class BusyError(Exception):
    """Another sandbox uses the state directory."""


class Process(msgspec.Struct, frozen=True):
    """A process; `started` is in clock ticks since the machine's boot, as numbers are used again."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now; one that has ended is never alive."""
        return cls(pid, _started(pid) or -1)

    @property
    def alive(self) -> bool:
        """Whether it runs; one that has ended and waits for its parent doesn't."""
        return _started(self.pid) == self.started

    def stop(self) -> None:
        """Ask it to end, and kill it when it doesn't in time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_WITHIN
            if self.alive:
                self._send(number)
            while self.alive and time.monotonic() < deadline:
                time.sleep(_POLL)

    def _send(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it ended just now


class Record(msgspec.Struct, kw_only=True, frozen=True):
    """A sandbox: its process, and where its parts are once it is `ready`.

    `operator` is the process of one that was started with it, `by_demo` says that a demo started both.
    """

    sandbox: Process
    version: str
    engine: str = "builtin"
    ready: bool = False
    kubeconfig: str = ""
    api: str = ""
    metrics: str = ""
    operator: Process | None = None
    by_demo: bool = False


def default_state_dir() -> Path:
    """`.sandbox` here, or under $XDG_STATE_HOME where this folder can't be written."""
    here = Path.cwd()
    if os.access(here, os.W_OK):
        return here / ".sandbox"
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return home / "flagger"


def record_path(state_dir: Path) -> Path:
    """The file with the record."""
    return state_dir / "run" / "sandbox.json"


def write_record(state_dir: Path, record: Record) -> None:
    """Store the record; a reader sees either the old or the new one."""
    path = record_path(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def read_record(state_dir: Path) -> Record | None:
    """The record, be its processes alive or not."""
    try:
        return msgspec.json.decode(record_path(state_dir).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def running(state_dir: Path, process: Process | None = None) -> Record | None:
    """The record of the sandbox that is up, provided that it is this process if one is given."""
    record = read_record(state_dir)
    if record is None or not record.ready or not record.sandbox.alive:
        return None
    return record if process in {None, record.sandbox} else None


def stop_all(state_dir: Path) -> bool:
    """End the sandbox and the operator that was started with it; says whether anything was running.

    Works as well on what a killed sandbox or a killed demo left behind, be it without a record.
    """
    record = read_record(state_dir)
    known = (record.operator, record.sandbox) if record is not None else ()
    left = [process for process in (*known, _holder(state_dir)) if process is not None and process.alive]
    for process in left:
        process.stop()
    record_path(state_dir).unlink(missing_ok=True)
    return bool(left)


@contextmanager
def claim(state_dir: Path) -> Iterator[None]:
    """Have the state directory for this process alone, until the block is left or the process ends.

    Raises:
        BusyError: another process has it.
    """
    path = _lock_path(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"another sandbox uses {state_dir}; stop it:  flagger sandbox down") from error
        lock.truncate(0)
        lock.write(msgspec.json.encode(Process.of(os.getpid())))
        lock.flush()
        yield


def _lock_path(state_dir: Path) -> Path:
    return state_dir / "run" / "lock"


def _holder(state_dir: Path) -> Process | None:
    """The process that claimed the directory last."""
    try:
        return msgspec.json.decode(_lock_path(state_dir).read_bytes(), type=Process)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _started(pid: int) -> int | None:
    """When the process with this number was started; None when there is none that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]  # fields 3 and 22 of proc(5)
    return None if state in "ZX" else int(started)
