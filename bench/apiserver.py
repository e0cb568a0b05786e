"""How fast the embedded API server answers: reads, writes with watches open, memory, start and stop.

Three processes: the server on one core; one client, and the watchers (which only drain their streams) on the
others. Run `python bench/apiserver.py [--seconds 5] [--watches 50] [--data-dir]`; prints one line per figure.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import multiprocessing
import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp

from flagger.sandbox.apiserver import ApiServer

CONCURRENCY = 16
LABELS = {"app": "checkout"}
CONTAINER = {
    "name": "app",
    "image": "registry.local/checkout:1.0.0",
    "ports": [{"containerPort": 9898}],
    "env": [{"name": f"VARIABLE_{index}", "value": "x" * 20} for index in range(10)],
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9898}},
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
SPEC = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
DEPLOYMENT: dict[str, Any] = {"metadata": {"name": "checkout", "labels": LABELS}, "spec": SPEC}
COLLECTION = "/apis/apps/v1/namespaces/default/deployments"
STATUS = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}


def pin(core: int) -> None:
    """Keep this process on one core, where there are several."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def run(main: Awaitable[None]) -> None:
    """Run a coroutine, on uvloop if it is there."""
    if importlib.util.find_spec("uvloop"):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    else:
        asyncio.run(main)


def resident() -> float:
    """Return the memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def serve(pipe: Connection, folder: str | None) -> None:
    """The server process; reports its CPU time and memory when asked, and stops when told."""
    pin(0)
    run(_serve(pipe, folder))


async def _serve(pipe: Connection, folder: str | None) -> None:
    started = time.perf_counter()
    server = ApiServer(Path(folder) if folder else None)
    await server.start()
    pipe.send((server.url, server.admin_token, server.ca_pem, time.perf_counter() - started))
    while (await asyncio.to_thread(pipe.recv)) != "stop":
        pipe.send((time.process_time(), resident()))
    started = time.perf_counter()
    await server.stop()
    pipe.send(time.perf_counter() - started)


def watch(url: str, token: str, ca: str, watches: int, pipe: Connection) -> None:
    """The watching process: opens streams, drains them, reports how many events came."""
    pin(1)
    run(_watch(url, token, ca, watches, pipe))


async def _watch(url: str, token: str, ca: str, watches: int, pipe: Connection) -> None:
    counts = [0] * watches

    async def drain(index: int) -> None:
        async with session.get(COLLECTION, params={"watch": "1"}) as response:
            async for data in response.content.iter_any():
                counts[index] += data.count(b'{"type":')

    async with connect(url, token, ca) as session:
        tasks = [asyncio.create_task(drain(index)) for index in range(watches)]
        await asyncio.sleep(0.5)
        pipe.send("ready")
        while (await asyncio.to_thread(pipe.recv)) != "stop":
            pipe.send(sum(counts))
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def connect(url: str, token: str, ca: str) -> Any:
    """Open a session with the server."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=ca), limit=0)
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, connector=connector, headers=headers, timeout=timeout) as session:
        yield session


Step = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


async def read(session: aiohttp.ClientSession, _: int) -> None:
    """GET one Deployment."""
    async with session.get(f"{COLLECTION}/checkout") as response:
        await response.read()
        assert response.status == 200


async def patch_status(session: aiohttp.ClientSession, number: int) -> None:
    """Write a status, as controllers do most."""
    body = json.dumps({"status": STATUS | {"availableReplicas": number + 1}})
    headers = {"Content-Type": "application/merge-patch+json"}
    async with session.patch(f"{COLLECTION}/checkout/status", data=body, headers=headers) as response:
        await response.read()
        assert response.status == 200


async def apply(session: aiohttp.ClientSession, number: int) -> None:
    """Apply a changed annotation server-side."""
    metadata = {"name": "checkout", "annotations": {"n": str(number)}}
    body = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})
    headers = {"Content-Type": "application/apply-patch+yaml"}
    url = f"{COLLECTION}/checkout?fieldManager=bench&force=true"
    async with session.patch(url, data=body, headers=headers) as response:
        await response.read()
        assert response.status == 200


async def create_and_delete(session: aiohttp.ClientSession, number: int) -> None:
    """POST and DELETE a ConfigMap: two writes."""
    body = json.dumps({"metadata": {"name": f"c{number}"}, "data": {"a": "1"}})
    path = "/api/v1/namespaces/default/configmaps"
    async with session.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
        await response.read()
        assert response.status == 201
    async with session.delete(f"{path}/c{number}") as response:
        await response.read()
        assert response.status == 200


async def rate(session: aiohttp.ClientSession, step: Step, seconds: float, concurrency: int) -> float:
    """Return how many steps a second succeed."""
    numbers = iter(range(10**9))
    end = time.perf_counter() + seconds
    done = 0

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await step(session, next(numbers))
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return done / (time.perf_counter() - started)


class Server:
    """A server process and what it says about itself."""

    def __init__(self, folder: str | None) -> None:
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(other, folder), daemon=True)
        self.process.start()
        self.url, self.token, self.ca, self.start_seconds = self.pipe.recv()

    def usage(self) -> tuple[float, float]:
        """Return CPU seconds and MiB so far."""
        self.pipe.send("usage")
        cpu, memory = self.pipe.recv()
        return cpu, memory

    def stop(self) -> float:
        """Stop the server; returns how long it took."""
        self.pipe.send("stop")
        seconds: float = self.pipe.recv()
        self.process.join(10)
        return seconds


@contextlib.contextmanager
def watchers(server: Server, count: int) -> Iterator[Connection]:
    """Keep watches open in a process of their own."""
    pipe, other = multiprocessing.Pipe()
    arguments = (server.url, server.token, server.ca, count, other)
    process = multiprocessing.Process(target=watch, args=arguments, daemon=True)
    process.start()
    pipe.recv()
    try:
        yield pipe
    finally:
        pipe.send("stop")
        process.kill()
        process.join()


def report(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{name:<52} {value:>10,.1f} {unit}", flush=True)


async def measure(server: Server, seconds: float, pipe: Connection) -> None:
    """Measure all rates, with the CPU time that each step costs the server."""
    steps: list[tuple[str, Step, int]] = [
        ("GET one object", read, 1),
        ("PATCH status", patch_status, 1),
        ("server-side apply", apply, 1),
        ("POST and DELETE", create_and_delete, 2),
    ]
    async with connect(server.url, server.token, server.ca) as session:
        async with session.post(COLLECTION, json=DEPLOYMENT) as response:
            assert response.status == 201, await response.text()
        for name, step, requests in steps:
            for concurrency in (1, CONCURRENCY):
                before, _ = server.usage()
                found = await rate(session, step, seconds, concurrency) * requests
                cpu = (server.usage()[0] - before) / (found * seconds) * 1e6
                report(f"{name}, {concurrency} in flight", found, "requests/s")
                report("    server CPU each", cpu, "us")
    pipe.send("count")
    report("events delivered", pipe.recv(), "events")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--watches", type=int, default=50)
    parser.add_argument("--data-dir", action="store_true", help="keep the state on disk")
    options = parser.parse_args()
    pin(1)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder if options.data_dir else None)
        report("start", server.start_seconds * 1000, "ms")
        with watchers(server, options.watches) as pipe:
            run(measure(server, options.seconds, pipe))
        with watchers(server, 500):
            report("memory, 500 watches", server.usage()[1], "MiB")
            report("stop with 500 watches", server.stop() * 1000, "ms")


if __name__ == "__main__":
    main()
