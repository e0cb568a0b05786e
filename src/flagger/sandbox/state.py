"""What a detached sandbox leaves in its state directory, so that later commands find it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

STOP_WITHIN = 15.0  # seconds until a process that was asked to stop is killed
_POLL = 0.05  # seconds


class Record(msgspec.Struct, kw_only=True, frozen=True):
    """A running sandbox: its process, and where its parts are. `operator` is the pid of one started with it."""

    pid: int
    version: str
    kubeconfig: str
    api: str
    metrics: str
    operator: int = 0


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
    """The record of a sandbox that is alive; one of a dead process is removed."""
    path = record_path(state_dir)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    if is_alive(record.pid):
        return record
    path.unlink(missing_ok=True)
    return None


def is_alive(pid: int) -> bool:
    """Whether a process with this number runs; one that has ended and waits for its parent doesn't."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    return state != "Z"


def stop_process(pid: int) -> None:
    """Ask a process to end, and kill it when it doesn't in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_WITHIN
        while time.monotonic() < deadline:
            if not is_alive(pid):
                return
            time.sleep(_POLL)
