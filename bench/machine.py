"""What the figures were measured on, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

QUIET = 0.2  # cores
PATIENCE = 60.0  # seconds


def describe() -> str:
    """Processor, cores, memory and Python: what must be equal for figures to be comparable."""
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {_cores()} cores, {_memory()} GiB memory, {system}, {python}"


def load() -> float:
    """How many processes wanted a core, averaged over the last minute."""
    return os.getloadavg()[0]


def busy(seconds: float = 1.0) -> float:
    """How many cores were at work during the next `seconds`."""
    before, started = _busy_ticks(), time.monotonic()
    time.sleep(seconds)
    ticks = _busy_ticks() - before
    return ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - started)


def wait_for_quiet() -> float:
    """Wait until nobody else uses the machine, though not for ever; returns how many cores are still in use."""
    deadline = time.monotonic() + PATIENCE
    while (found := busy()) > QUIET and time.monotonic() < deadline:
        pass
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def _busy_ticks() -> int:
    """Clock ticks of all cores that were not idle, by proc(5): user, nice, system, idle, iowait, irq, …."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]
