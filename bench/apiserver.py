"""How fast the embedded API server answers: reads, writes with watches open, memory, start and stop.

The server has one core; one client and the watchers, which only drain their streams, share the others.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import aiohttp

from bench import api_load, loops
from bench.api_load import LISTED, Access, Step, pin, session, watchers
from bench.figures import Figure, Target, at_least
from bench.processes import resident
from bench.rates import per_second
from flagger.sandbox.apiserver import ApiServer

RUNS, IN_FLIGHT = 3, 16
WATCHES, MANY_WATCHES = 50, 500
READS, WRITES = at_least(1500), at_least(500)


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of request: `requests` of them make a step."""

    name: str
    step: Step
    target: Target | None = None
    requests: int = 1


ROWS = (
    Row("GET one object", api_load.read, READS),
    Row("PATCH status", api_load.patch_status, WRITES),
    Row("server-side apply", api_load.apply, WRITES),
    Row("POST and DELETE", api_load.create_and_delete, WRITES, requests=2),
    Row(f"GET {LISTED} objects", api_load.read_all),
)


def run() -> list[Figure]:
    """Measure the server in memory, then writes that are kept on disk."""
    pin(1)
    with tempfile.TemporaryDirectory() as folder:
        return [*_in_memory(), *_on_disk(folder)]


def _in_memory() -> list[Figure]:
    server = Server()
    with watchers(server.access, WATCHES) as delivered:
        found = loops.run(_requests(server, delivered))
    with watchers(server.access, MANY_WATCHES):
        memory = server.usage()[1]
        stopped = server.stop() * 1000
    return [
        *found,
        Figure("start", "ms", (server.start_seconds * 1000,), note="without the imports"),
        Figure(f"memory with {MANY_WATCHES} watches", "MiB", (memory,), note=f"and {LISTED + 1} Deployments"),
        Figure(f"stop with {MANY_WATCHES} watches", "ms", (stopped,), note="until the last one is closed"),
    ]


def _on_disk(folder: str) -> list[Figure]:
    server = Server(folder)
    try:
        return loops.run(_durable(server))
    finally:
        server.stop()


async def _requests(server: Server, delivered: Callable[[], int]) -> list[Figure]:
    """All kinds of requests, one after the other and several at once."""
    found: list[Figure] = []
    async with session(server.access) as client:
        await api_load.furnish(client)
        for row in ROWS:
            events, began = delivered(), time.perf_counter()
            alone, _ = await _rates(server, client, row, 1)
            rates, costs = await _rates(server, client, row, IN_FLIGHT)
            if row.step is api_load.patch_status:
                pushed = (delivered() - events) / (time.perf_counter() - began)
            cost = f"{statistics.median(costs):,.0f} µs of the server's CPU each"
            note = f"{IN_FLIGHT} in flight, {WATCHES} watches open; {cost}; one at a time: {alone[0]:,.0f}/s"
            found.append(Figure(row.name, "1/s", rates, row.target, note))
    note = f"to {WATCHES} watches while status is patched; the events are of 3 KB"
    return [*found, Figure("events delivered", "1/s", (pushed,), note=note)]


async def _durable(server: Server) -> list[Figure]:
    async with session(server.access) as client:
        await api_load.furnish(client)
        row = next(row for row in ROWS if row.step is api_load.patch_status)
        rates, _ = await _rates(server, client, row, IN_FLIGHT)
    return [
        Figure(
            f"{row.name}, kept on disk",
            "1/s",
            rates,
            WRITES,
            f"{IN_FLIGHT} in flight, with --data-dir, no watches",
        )
    ]


async def _rates(
    server: Server, client: aiohttp.ClientSession, row: Row, in_flight: int
) -> tuple[tuple[float, ...], Sequence[float]]:
    """Requests a second, and microseconds of the server's CPU for each, run by run."""
    rates, costs = [], []
    for _ in range(RUNS if in_flight > 1 else 1):
        used, began = server.usage()[0], time.perf_counter()
        rates.append(row.requests * await per_second(lambda number: row.step(client, number), in_flight))
        share = (server.usage()[0] - used) / (time.perf_counter() - began)
        costs.append(share / rates[-1] * 1e6)
    return tuple(rates), costs


class Server:
    """A server process and what it says about itself."""

    def __init__(self, folder: str | None = None) -> None:
        self._pipe, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve, args=(other, folder), daemon=True)
        self._process.start()
        self.access, self.start_seconds = self._pipe.recv()

    def usage(self) -> tuple[float, float]:
        """CPU seconds and MiB so far."""
        self._pipe.send("usage")
        cpu, memory = self._pipe.recv()
        return cpu, memory

    def stop(self) -> float:
        """Stop the server; returns how long it took in seconds."""
        self._pipe.send("stop")
        seconds: float = self._pipe.recv()
        self._process.join(10)
        return seconds


def _serve(pipe: Pipe, folder: str | None) -> None:
    """The server process; reports its CPU time and memory when asked, and stops when told."""
    pin(0)
    loops.run(_live(pipe, folder))


async def _live(pipe: Pipe, folder: str | None) -> None:
    started = time.perf_counter()
    server = ApiServer(Path(folder) if folder else None)
    await server.start()
    took = time.perf_counter() - started
    pipe.send((Access(server.url, server.admin_token, server.ca_pem), took))
    while (await asyncio.to_thread(pipe.recv)) != "stop":
        pipe.send((time.process_time(), resident(os.getpid())))
    started = time.perf_counter()
    await server.stop()
    pipe.send(time.perf_counter() - started)
