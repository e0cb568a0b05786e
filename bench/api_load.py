"""Load for any API server: what clients do most, with watches open in a process of their own meanwhile."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import aiohttp

from bench import loops
from bench.population import deployment
from flagger.kube.objects import DEPLOYMENT

LISTED = 500
"""Objects in the collection that is listed."""
NAME, NAMESPACE, CROWD = "checkout", "default", "crowd"
COLLECTION = DEPLOYMENT.path(NAMESPACE)
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
STATUS = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}
JSON, MERGE, APPLY = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Access:
    """How an API server is reached; `authority` is PEM, empty for a server that is trusted unseen."""

    url: str
    token: str
    authority: str = ""


Step = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


def pin(core: int) -> None:
    """Keep this process on one core, where there are several."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


@asynccontextmanager
async def session(access: Access) -> AsyncIterator[aiohttp.ClientSession]:
    """Open connections to the server as needed."""
    context = ssl.create_default_context(cadata=access.authority) if access.authority else False
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    headers = {"Authorization": f"Bearer {access.token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        access.url, connector=connector, headers=headers, timeout=timeout
    ) as found:
        yield found


async def furnish(client: aiohttp.ClientSession) -> None:
    """Create what the steps work on."""
    await _send(client, "POST", "/api/v1/namespaces", JSON, {"metadata": {"name": CROWD}})
    for number in range(LISTED + 1):
        obj = deployment(number)
        obj["metadata"] |= {"namespace": CROWD if number else NAMESPACE}
        if not number:
            obj["metadata"]["name"] = NAME
        obj |= {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind}
        await _send(client, "POST", DEPLOYMENT.path(obj["metadata"]["namespace"]), JSON, obj)


async def read(client: aiohttp.ClientSession, _: int) -> None:
    """GET one Deployment."""
    await _send(client, "GET", f"{COLLECTION}/{NAME}")


async def read_all(client: aiohttp.ClientSession, _: int) -> None:
    """GET all Deployments of a namespace."""
    await _send(client, "GET", DEPLOYMENT.path(CROWD))


async def patch_status(client: aiohttp.ClientSession, number: int) -> None:
    """Write a status, as controllers do most; never the same twice."""
    conditions = [{"type": "Progressing", "status": "True", "reason": f"Round{number}"}]
    body = {"status": STATUS | {"conditions": conditions}}
    await _send(client, "PATCH", f"{COLLECTION}/{NAME}/status", MERGE, body)


async def apply(client: aiohttp.ClientSession, number: int) -> None:
    """Apply a changed annotation server-side."""
    metadata = {"name": NAME, "annotations": {"n": str(number)}}
    body = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "metadata": metadata}
    await _send(client, "PATCH", f"{COLLECTION}/{NAME}?fieldManager=bench&force=true", APPLY, body)


async def create_and_delete(client: aiohttp.ClientSession, number: int) -> None:
    """POST and DELETE a ConfigMap: two writes."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}"}, "data": {"a": "1"}}
    await _send(client, "POST", CONFIG_MAPS, JSON, body)
    await _send(client, "DELETE", f"{CONFIG_MAPS}/c{number}")


async def _send(
    client: aiohttp.ClientSession, method: str, path: str, content: str = JSON, body: object = None
) -> None:
    """One request that must succeed."""
    data = None if body is None else json.dumps(body)
    async with client.request(method, path, data=data, headers={"Content-Type": content}) as response:
        text = await response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")


@contextmanager
def watchers(access: Access, count: int) -> Iterator[Callable[[], int]]:
    """Keep watches open on the Deployment's collection; gives a function that says how many events came."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_watch, args=(access, count, theirs), daemon=True)
    process.start()
    ours.recv()

    def delivered() -> int:
        ours.send("count")
        return int(ours.recv())

    try:
        yield delivered
    finally:
        process.kill()
        process.join()


def _watch(access: Access, count: int, pipe: Pipe) -> None:
    """The watching process: opens streams, drains them, says how many events came."""
    pin(1)
    loops.run(_drain(access, count, pipe))


async def _drain(access: Access, count: int, pipe: Pipe) -> None:
    events, opened, all_open = 0, 0, asyncio.Event()

    async def drain() -> None:
        nonlocal events, opened
        async with client.get(COLLECTION, params={"watch": "1"}) as response:
            opened += 1
            if opened == count:
                all_open.set()
            async for data in response.content.iter_any():
                events += data.count(b"\n")  # one ends each event

    async with session(access) as client:
        tasks = [asyncio.create_task(drain()) for _ in range(count)]
        await all_open.wait()
        pipe.send("ready")
        while await asyncio.to_thread(pipe.recv):
            pipe.send(events)
        await asyncio.wait(tasks)
