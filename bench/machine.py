"""What the figures were measured on, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET = 0.15  # cores
PERIOD = 1.0  # seconds between two looks at other processes


def describe() -> str:
    """Processor, cores, memory and Python: what must be equal for figures to be comparable."""
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {cores()} cores, {_memory()} GiB memory, {system}, {python}"


def cores() -> int:
    """How many cores there are for us."""
    return len(os.sched_getaffinity(0))


def wait_for_quiet(patience: float) -> None:
    """Wait until nobody else uses the machine, at most `patience` seconds."""
    deadline = time.monotonic() + patience
    others = Others(mark="")
    while time.monotonic() < deadline:
        time.sleep(PERIOD)
        others.look()
        if others.last <= QUIET:
            return


class Others:
    """How many cores programs use that do not carry `mark` in their environment."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._ours: dict[int, bool] = {os.getpid(): True}
        self._before = self._seconds()
        self._when = self._begun = time.monotonic()
        self._total = 0.0
        self.last = 0.0

    @property
    def cores(self) -> float:
        """On average since the beginning."""
        return self._total / max(self._when - self._begun, 1e-9)

    def look(self) -> None:
        """Add up what was used since the last look; processes that lived shorter than that are missed."""
        now, after = time.monotonic(), self._seconds()
        used = sum(seconds - self._before[pid] for pid, seconds in after.items() if pid in self._before)
        self.last = used / (now - self._when)
        self._total += used
        self._before, self._when = after, now

    def _seconds(self) -> dict[int, float]:
        """CPU seconds of each process of somebody else."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and not self._is_ours(int(entry.name)):
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # ended meanwhile
                found[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def _is_ours(self, pid: int) -> bool:
        if pid not in self._ours:
            try:
                self._ours[pid] = bool(self._mark) and self._mark in Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                return False  # ended meanwhile, or somebody else's
        return self._ours[pid]


@contextmanager
def others(mark: str) -> Iterator[Others]:
    """Look at what others use until the end of the block."""
    found, stop = Others(mark), threading.Event()

    def follow() -> None:
        while not stop.wait(PERIOD):
            found.look()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found.look()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
