"""What Canaries cost while nothing is released, and how soon a release is noticed.

The real operator on an embedded API server, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, at_most
from bench.population import Pace, Site, operator, site
from bench.processes import Process
from bench.server import counts, told

FEW, MANY = 100, 1000
SLICES, SLICE = 3, 20.0  # seconds of looking at an idle operator
RELEASES = 20
INITIALIZED_WITHIN = 120.0  # seconds
LEASE = "leases"


@dataclass(frozen=True, slots=True)
class Rest:
    """An operator at rest: requests per minute in words, CPU seconds in each slice, MiB."""

    requests: int
    what: str
    cpu: tuple[float, ...]
    memory: float


def run() -> list[Figure]:
    """Measure with few Canaries, then memory and CPU with many."""
    return [*asyncio.run(_with(FEW, releases=RELEASES)), *asyncio.run(_with(MANY, releases=0))]


async def _with(size: int, releases: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with site(folder, size, Pace()) as here:
            with operator(folder, here.server.kubeconfig) as process:
                started = time.monotonic()
                await here.until(here.all_in("Initialized", size), INITIALIZED_WITHIN)
                took = time.monotonic() - started
                await here.quiet()
                rest = await _rest(here, process)
                found = _figures(size, took, rest)
                if releases:
                    found.append(await _detection(here, releases))
            with operator(folder, here.server.kubeconfig) as process:
                await here.quiet()
                found.append(_again(size, process.resident))
            return found


async def _rest(here: Site, process: Process) -> Rest:
    before, asked = await counts(here.client), here.asked.copy()
    cpu = []
    for _ in range(SLICES):
        used = process.cpu
        await asyncio.sleep(SLICE)
        cpu.append(process.cpu - used)
    requests = await counts(here.client) - before - (here.asked - asked)
    for verb, resource in list(requests):
        if verb == "watch" or resource == LEASE:
            del requests[verb, resource]
    return Rest(requests.total(), told(requests), tuple(cpu), process.resident)


def _figures(size: int, took: float, rest: Rest) -> list[Figure]:
    minutes = SLICES * SLICE / 60
    with_all = f"{size:,} idle Canaries"
    return [
        Figure(
            f"API requests per idle Canary and minute, of {size:,}",
            "requests",
            (rest.requests / size / minutes,),
            at_most(0),
            f"the server's own count over {minutes:.0f} min, watches and the Lease aside: {rest.what or 'none'}",
        ),
        Figure(
            f"memory with {with_all}",
            "MiB",
            (rest.memory,),
            at_most(120 if size == FEW else 200),
            "resident memory of the process that set all of them up",
        ),
        Figure(
            f"CPU with {with_all}",
            "millicores",
            tuple(used / SLICE * 1000 for used in rest.cpu),
            None if size == FEW else at_most(20),
            f"{SLICES} times {SLICE:.0f} s",
        ),
        Figure(
            f"setting up {size:,} Canaries",
            "s",
            (took,),
            note="all of them new at once, until each is Initialized: primaries, Services, routes, status",
        ),
    ]


def _again(size: int, memory: float) -> Figure:
    note = "of a process that found all of them set up"
    return Figure(f"memory with {size:,} idle Canaries, after a restart", "MiB", (memory,), note=note)


async def _detection(here: Site, releases: int) -> Figure:
    found = []
    for number in range(releases):
        started = time.monotonic()
        await here.release(number)
        await here.until(lambda number=number: here.phase(number) == "Progressing", 10.0)  # type: ignore[misc]
        found.append((time.monotonic() - started) * 1000)
        await asyncio.sleep(0.2)
    note = "from the request that changes the Deployment until a watcher sees the status Progressing"
    return Figure("new revision detected", "ms", tuple(found), at_most(1000), note)
