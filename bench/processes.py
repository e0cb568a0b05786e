"""Processes under measurement: started, asked for memory and CPU time, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_WITHIN = 10.0  # seconds
TAIL = 12  # lines of a log that are shown
ROOT = Path(__file__).resolve().parent.parent


class Died(Exception):  # noqa: N818 - a fact
    """A process ended too early; the text holds the end of its log."""


class Process:
    """A running process of ours, with its output in `log`."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen, self._log = popen, log
        self.pid = popen.pid

    def check(self) -> None:
        """See that it still runs.

        Raises:
            Died: it doesn't.
        """
        if self._popen.poll() is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-TAIL:]
            raise Died("\n".join([f"a process ended with code {self._popen.returncode}:", *lines]))

    @property
    def cpu(self) -> float:
        """CPU seconds used so far."""
        return cpu_seconds(self.pid)

    @property
    def resident(self) -> float:
        """Memory in MiB."""
        return resident(self.pid)

    def stop(self) -> None:
        """Ask it to end, and end it when it doesn't."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@contextmanager
def python(arguments: Sequence[str], log: Path) -> Iterator[Process]:
    """Run `python …` in the project's folder, until the end of the block."""
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        process.stop()


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used, user and system."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory of a process in MiB, shared pages included."""
    return _memory(f"/proc/{pid}/status", "VmRSS")


def proportional(pid: int) -> float:
    """Memory of a process in MiB, shared pages divided among those who share them."""
    return _memory(f"/proc/{pid}/smaps_rollup", "Pss")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) from the third on: state, parent, …; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory(path: str, field: str) -> float:
    for line in Path(path).read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) / 1024
    return 0.0
