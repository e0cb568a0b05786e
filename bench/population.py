"""Canaries to measure with: a cluster of an API server, Deployments that are ready at once, and an operator.

There are no pods: a small controller here says of every Deployment that its pods are ready.
"""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Process, python
from bench.server import Server, counts, server
from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import DEPLOYMENT, NAMESPACE, Object, name_of, namespace_of
from flagger.runtime.kinds import CANARY

NAMESPACES = 10
AT_ONCE = 16  # requests
READY_WITHIN = 30.0  # seconds, for the operator
LABEL = "revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the Canaries release: `interval` between two ticks, percent by which the weight grows."""

    interval: str = "1m"
    step: int = 10
    most: int = 50


class Site:
    """A cluster with Canaries, as they were last heard of; `stamps` says when each reached a phase."""

    def __init__(self, client: Client, here: Server) -> None:
        self.client, self.server = client, here
        self.asked: Counter[tuple[str, str]] = Counter()
        """Requests of this program, which are not the operator's."""
        self.canaries: dict[str, Object] = {}
        self.listeners: list[Callable[[Object], None]] = []
        self._unready: asyncio.Queue[Object] = asyncio.Queue()
        self._moved = asyncio.Event()

    def canary_changed(self, _: Object | None, new: Object | None) -> None:
        """Take note of a Canary and wake whoever waits for one."""
        if new is not None:
            self.canaries[name_of(new)] = new
            for listener in self.listeners:
                listener(new)
            self._moved.set()

    def deployment_changed(self, _: Object | None, new: Object | None) -> None:
        """Take note of a Deployment whose status is behind."""
        if new is not None and not _is_ready(new):
            self._unready.put_nowait(new)

    async def make_ready(self) -> None:
        """Say of one Deployment after the other that its pods are as wanted."""
        while True:
            deployment = await self._unready.get()
            where = name_of(deployment), namespace_of(deployment)
            body = {"status": _ready_status(deployment)}
            await self.client.patch(DEPLOYMENT, *where, body, subresource="status")
            self.asked["patch", "deployments/status"] += 1

    async def until(self, wanted: Callable[[], bool], within: float) -> None:
        """Wait for something about the Canaries to be so.

        Raises:
            TimeoutError: it isn't in time.
        """
        async with asyncio.timeout(within):
            while not wanted():
                self._moved.clear()
                await self._moved.wait()

    async def quiet(self, seconds: float = 2.0) -> None:
        """Wait until the server was asked nothing for some time."""
        before = await counts(self.client)
        while True:
            await asyncio.sleep(seconds)
            after = await counts(self.client)
            if after == before:
                return
            before = after

    async def release(self, number: int) -> None:
        """Give one target a new revision."""
        body = {"spec": {"template": {"metadata": {"annotations": {LABEL: str(time.time_ns())}}}}}
        await self.client.patch(DEPLOYMENT, target(number), namespace(number), body)
        self.asked["patch", "deployments"] += 1

    def phase(self, number: int) -> str:
        """The phase of a Canary, as last heard of; empty before its first."""
        found: str = self.canaries.get(target(number), {}).get("status", {}).get("phase", "")
        return found

    def all_in(self, phase: str, size: int) -> Callable[[], bool]:
        """Tells whether that many Canaries are in a phase."""
        return lambda: (
            sum(item.get("status", {}).get("phase") == phase for item in self.canaries.values()) == size
        )


@asynccontextmanager
async def site(folder: Path, size: int, pace: Pace) -> AsyncIterator[Site]:
    """A cluster with as many Canaries and their targets; nobody operates it yet."""
    with server(folder) as here:
        async with Client(load_connection(here.kubeconfig)) as client:
            found = Site(client, here)
            await _populate(client, size, pace)
            informers = (
                Informer(client, CANARY, on_change=found.canary_changed),
                Informer(client, DEPLOYMENT, on_change=found.deployment_changed),
            )
            async with asyncio.TaskGroup() as group:
                work = [informer.run() for informer in informers]
                work += [found.make_ready() for _ in range(AT_ONCE)]
                tasks = [group.create_task(job) for job in work]
                try:
                    yield found
                finally:
                    for task in tasks:
                        task.cancel()


@contextmanager
def operator(folder: Path, kubeconfig: Path, *, metrics: str = "http://127.0.0.1:9") -> Iterator[Process]:
    """Run an operator on a cluster, ready, until the end of the block."""
    port = _free_port()
    arguments = [
        *("-m", "flagger", "run", f"-kubeconfig={kubeconfig}", "-mesh-provider=gatewayapi:v1"),
        *(f"-metrics-server={metrics}", "-analysis-interval-floor=1s", "-log-level=info"),
        *("-address=127.0.0.1", f"-port={port}"),
    ]
    with python(arguments, folder / "operator.log") as process:
        until_ready(process, f"http://127.0.0.1:{port}/readyz")
        yield process


def until_ready(process: Process, url: str) -> None:
    """Wait until a process answers with 200.

    Raises:
        Died: it ended instead.
        TimeoutError: it didn't in time.
    """
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        process.check()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.005)
    raise TimeoutError(url)


def target(number: int) -> str:
    """The name of a target, and of its Canary."""
    return f"app-{number:04}"


def namespace(number: int) -> str:
    """Where it lives."""
    return f"team-{number % NAMESPACES}"


def deployment(number: int) -> Object:
    """A Deployment as applications have them: probes, resources, some environment."""
    labels = {"app": target(number), "team": namespace(number)}
    container = {
        "name": "app",
        "image": f"registry.example/{target(number)}:1.0.0",
        "ports": [{"name": "http", "containerPort": 9898}],
        "env": [{"name": f"VARIABLE_{index}", "value": "x" * 20} for index in range(10)],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9898}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": target(number)}}, "template": template}
    metadata = {"name": target(number), "namespace": namespace(number), "labels": labels}
    return {"metadata": metadata, "spec": spec}


def canary(number: int, pace: Pace) -> Object:
    """A Canary with the two built-in metrics."""
    analysis = {
        "interval": pace.interval,
        "threshold": 5,
        "stepWeight": pace.step,
        "maxWeight": pace.most,
        "metrics": [
            {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
        ],
    }
    service = {
        "port": 9898,
        "hosts": [f"{target(number)}.example"],
        "gatewayRefs": [{"name": "public", "namespace": namespace(0)}],
    }
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target(number)}
    spec = {"provider": "gatewayapi:v1", "targetRef": reference, "service": service, "analysis": analysis}
    return {"metadata": {"name": target(number), "namespace": namespace(number)}, "spec": spec}


async def _populate(client: Client, size: int, pace: Pace) -> None:
    for number in range(NAMESPACES):
        await client.create(NAMESPACE, {"metadata": {"name": namespace(number)}})
    numbers = iter(range(size))

    async def work() -> None:
        for number in numbers:
            await client.create(DEPLOYMENT, deployment(number))
            await client.create(CANARY, canary(number, pace))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def _ready_status(deployment: Object) -> Object:
    wanted = deployment["spec"].get("replicas", 1)
    counters = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(counters, wanted),
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }


def _is_ready(deployment: Object) -> bool:
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(seen and status.get("availableReplicas", 0) == wanted)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
