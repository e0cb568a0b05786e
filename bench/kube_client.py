"""How fast the Kubernetes client is: requests, lists, watch events, memory; against a stub in its own process."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import loops
from bench.figures import Figure
from bench.processes import resident
from bench.rates import per_second
from bench.stub_api import EVENTS, OBJECTS, stub
from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.informer import Informer
from flagger.kube.objects import DEPLOYMENT

RUNS, IN_FLIGHT = 3, 32


def run() -> list[Figure]:
    """Measure requests, then lists and watches."""
    with stub() as url:
        return loops.run(_measure(url))


async def _measure(url: str) -> list[Figure]:
    async with Client(Connection(url)) as client:

        async def ask(number: int) -> None:
            if number % 2:
                await client.get(DEPLOYMENT, "app-0", "ns-0")
            else:
                await client.patch(DEPLOYMENT, "app-0", "ns-0", {"spec": {"replicas": number}})

        found = []
        for in_flight in (1, IN_FLIGHT):
            rates, costs = [], []
            for _ in range(RUNS):
                used, began = time.process_time(), time.perf_counter()
                rates.append(await per_second(ask, in_flight))
                share = (time.process_time() - used) / (time.perf_counter() - began)
                costs.append(share / rates[-1] * 1e6)
            name = f"GET and PATCH in turn, {in_flight} in flight"
            found.append(Figure(name, "1/s", tuple(rates), note=f"objects of 3 KB, plain HTTP, {loops.NAME}"))
            found.append(
                Figure(f"the same: CPU each, {in_flight} in flight", "µs", tuple(costs), note="client only")
            )
        return [*found, *await _lists(client), *await _watches(client)]


async def _lists(client: Client) -> list[Figure]:
    """The informer first: lists leave memory behind that it would use."""
    gc.collect()
    before = resident(os.getpid())
    async with _informer(client) as seconds:
        kept = resident(os.getpid()) - before
    times = []
    for _ in range(RUNS):
        gc.collect()
        start = time.perf_counter()
        found = await client.list(DEPLOYMENT)
        times.append(time.perf_counter() - start)
        assert len(found.items) == OBJECTS
        del found
    pages = f"{OBJECTS:,} objects in pages of 500"
    return [
        Figure(f"informer synced over {OBJECTS:,}", "s", (seconds,), note=pages),
        Figure(
            "the same: memory", "MiB", (kept,), note="grown meanwhile; objects are kept without managedFields"
        ),
        Figure(f"list of {OBJECTS:,}", "s", tuple(times), note=pages),
    ]


@asynccontextmanager
async def _informer(client: Client) -> AsyncIterator[float]:
    """A running informer; gives the seconds until it was synced."""
    start, informer = time.perf_counter(), Informer(client, DEPLOYMENT)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    try:
        yield time.perf_counter() - start
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watches(client: Client) -> list[Figure]:
    rates = []
    for _ in range(RUNS):
        start, count = time.perf_counter(), 0
        async for _event in client.watch(DEPLOYMENT, resource_version="1"):
            count += 1
            if count == EVENTS:
                break
        rates.append(count / (time.perf_counter() - start))
    return [Figure("watch", "events/s", tuple(rates), note=f"{EVENTS:,} events, decoded")]
