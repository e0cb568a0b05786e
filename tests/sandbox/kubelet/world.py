"""A node for the tests of the kubelet: an API server, and a kubelet that runs real processes."""

import asyncio
import contextlib
import functools
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.objects import NODE, POD, Object
from flagger.sandbox.kubelet import Kubelet
from flagger.sandbox.kubelet.launch import Isolation
from tests.sandbox.controllers.world import World, condition, until

BACK_OFF = 0.3  # seconds


_ranges = itertools.count()


def a_range() -> str:
    """Pod addresses that nobody else uses, whatever runs beside."""
    pid = os.getpid()
    return f"127.{160 + pid % 60}.{(pid // 60 * 8 + next(_ranges)) % 256}.0/24"


@functools.cache
def isolation() -> Isolation:
    """How containers are isolated on this machine; found out in another process, as it forks."""
    script = "from flagger.sandbox.kubelet.forkserver import isolation; print(isolation().value)"
    command = [sys.executable, "-c", script]
    return Isolation(
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    )


@contextlib.asynccontextmanager
async def a_kubelet(connection: Connection, folder: Path, **options: Any) -> AsyncIterator[None]:
    """A kubelet that is ready."""
    async with Client(connection) as client:
        kubelet = Kubelet(
            client, state_dir=folder, **({"pod_cidr": a_range(), "back_off": BACK_OFF} | options)
        )
        running = asyncio.create_task(kubelet.run())

        async def ready() -> bool:
            if running.done():
                running.result()
            nodes = (await client.list(NODE)).items
            return any(condition(node, "Ready")[0] == "True" for node in nodes)

        try:
            await until(ready, "the node is ready")
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})


@dataclass(frozen=True)
class Pods(World):
    """A namespace whose pods run."""

    async def run(self, name: str, *containers: Object, **spec: Any) -> Object:
        """Create a pod on the node."""
        spec = {
            "nodeName": "sandbox",
            "terminationGracePeriodSeconds": 1,
            "containers": list(containers),
            **spec,
        }
        return await self.create(POD, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})

    async def ready(self, name: str) -> Object:
        """The pod once it is ready."""
        return await self.when(
            POD, name, lambda pod: condition(pod, "Ready")[0] == "True", f"{name} is ready"
        )

    async def ended(self, name: str) -> Object:
        """The pod once it is over."""
        return await self.when(
            POD, name, lambda pod: pod["status"]["phase"] in {"Succeeded", "Failed"}, f"{name} is over"
        )

    async def waits(self, name: str, reason: str) -> Object:
        """The pod once its container waits for this reason."""

        def check(pod: Object) -> bool:
            states = [status["state"] for status in pod["status"].get("containerStatuses") or ()]
            return any(state.get("waiting", {}).get("reason") == reason for state in states)

        return await self.when(POD, name, check, f"{name} waits: {reason}")

    async def delete(self, name: str) -> None:
        """Delete a pod."""
        await self.client.delete(POD, name, self.namespace)

    async def log(self, name: str, **options: str) -> str:
        """What a pod has printed, by way of the API server."""
        path = POD.path(self.namespace, name, "log")
        return (await self.client.raw("GET", path, params=options)).decode()

    async def output(self, script: str, **spec: Any) -> str:
        """Run a shell script as a pod until it ends; what it printed."""
        name = f"script-{abs(hash(script)) % 10**8}"
        container = {**a_script(script), **spec.pop("container", {})}
        await self.run(name, container, restartPolicy="Never", **spec)
        await self.ended(name)
        return await self.log(name)


def a_script(script: str, **more: Any) -> Object:
    """A container that runs a shell script."""
    return {"name": "app", "image": "shell", "command": ["sh", "-c", script], **more}


def a_podinfo(*arguments: str, **more: Any) -> Object:
    """A container of the sample app with a readiness probe."""
    probe = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    return {
        "name": "app",
        "image": "registry.example/podinfo:6.1.0",
        "args": list(arguments),
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": probe,
        "env": [{"name": "PODINFO_DRAIN", "value": "0"}],
        **more,
    }


async def fetch(pod: Object, path: str, method: str = "GET") -> tuple[int, Any]:
    """Ask a pod's app."""
    url = f"http://{pod['status']['podIP']}:9898{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.json()


def container_status(pod: Object) -> Object:
    """The status of a pod's only container, also before there is one."""
    (status,) = pod["status"].get("containerStatuses") or [{"restartCount": 0, "state": {}, "lastState": {}}]
    return dict(status)
