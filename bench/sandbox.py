"""The sandbox: how soon it is up and gone, how soon a pod is ready, what its processes take."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, at_most
from bench.population import operator
from bench.processes import ROOT, cpu_seconds, family, proportional, resident
from flagger.demo.scene import CANARY, NAME, NAMESPACE_NAME, apply, manifests
from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import POD, Kind, Object, name_of
from flagger.sandbox.state import Record, running

STARTS, PODS = 5, 10
REST = 10.0  # seconds of looking at a sandbox that does nothing
WITHIN = 60.0  # seconds
METRICS = "http://prometheus.monitoring:9090"


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of a process and its descendants in MiB: shared pages once, and each process' own count."""

    proportional: float
    resident: float
    processes: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """As it is now."""
        pids = family(pid)
        return cls(sum(map(proportional, pids)), sum(map(resident, pids)), len(pids))


def run() -> list[Figure]:
    """Start and stop it some times, then look at one that runs."""
    ups, downs = [], []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(STARTS):
            ups.append(_command("up", Path(name)))
            downs.append(_command("down", Path(name)))
        with _sandbox(Path(name)) as record:
            found = asyncio.run(_life(Path(name), record))
    note = "the command's own duration, start of Python included; everything is ready when it returns"
    return [
        Figure("flagger sandbox up", "s", tuple(ups), at_most(5), note),
        Figure("flagger sandbox down", "s", tuple(downs), note="until every process has ended"),
        *found,
    ]


def _command(verb: str, folder: Path) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "flagger", "sandbox", verb, f"--state-dir={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@contextmanager
def _sandbox(folder: Path) -> Iterator[Record]:
    """A running sandbox, until the end of the block."""
    _command("up", folder)
    try:
        record = running(folder)
        assert record is not None, "it is up"
        yield record
    finally:
        _command("down", folder)


async def _life(folder: Path, record: Record) -> list[Figure]:
    pid, kubeconfig = record.sandbox.pid, Path(record.kubeconfig)
    async with Client(load_connection(kubeconfig)) as client:
        used = _cpu(pid)
        await asyncio.sleep(REST)
        share, rest = (_cpu(pid) - used) / REST * 1000, Usage.of(pid)
        ready = [await _pod(client, number) for number in range(PODS)]
        with operator(folder, kubeconfig, metrics=METRICS) as process:
            await apply(client, manifests("2s"))
            await _phase(client, "Initialized")
            await asyncio.sleep(REST)
            shop, operators = Usage.of(pid), process.resident
    return [
        Figure("pod ready", "ms", tuple(ready), note="from the request that creates a pod of the sample app"),
        _memory("memory at rest", rest),
        Figure("CPU at rest", "millicores", (share,), note=f"all processes, over {REST:.0f} s"),
        _memory("memory with the shop example", shop, f"; the operator beside it: {operators:.0f} MiB"),
    ]


def _cpu(pid: int) -> float:
    return sum(map(cpu_seconds, family(pid)))


def _memory(name: str, usage: Usage, more: str = "") -> Figure:
    counted = f"{usage.processes} processes, shared pages counted once"
    note = f"{counted} (resident sizes add up to {usage.resident:.0f}){more}"
    return Figure(name, "MiB", (usage.proportional,), note=note)


async def _pod(client: Client, number: int) -> float:
    """Milliseconds until a new pod is ready; it is deleted afterwards."""
    name = f"bench-{number}"
    container = {
        "name": "app",
        "image": "registry.example/podinfo:6.7.0",
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1},
    }
    body = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}
    async with _following(client, POD, "default") as changes:
        started = time.perf_counter()
        await client.create(POD, body)
        while not _is_ready(found := await changes.get()) or name_of(found) != name:
            pass
        took = (time.perf_counter() - started) * 1000
    await client.delete(POD, name, "default")
    return took


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


async def _phase(client: Client, phase: str) -> None:
    async with _following(client, CANARY, NAMESPACE_NAME) as changes:
        while (found := await changes.get()).get("status", {}).get("phase") != phase or name_of(
            found
        ) != NAME:
            pass


@asynccontextmanager
async def _following(client: Client, kind: Kind, namespace: str) -> AsyncIterator[asyncio.Queue[Object]]:
    """The objects of a kind as they change, for a limited time."""
    changes: asyncio.Queue[Object] = asyncio.Queue()

    def note(_: Object | None, new: Object | None) -> None:
        if new is not None:
            changes.put_nowait(new)

    informer = Informer(client, kind, namespace=namespace, on_change=note)
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(WITHIN):
            await informer.wait_synced()
            yield changes
    finally:
        task.cancel()
        await asyncio.wait([task])
