"""Clusters for the tests of controllers: an API server, controllers, and somebody who plays the kubelet."""

import asyncio
import contextlib
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.errors import NotFound
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import DEPLOYMENT, EVENT, NAMESPACE, POD, REPLICA_SET, Kind, Object, uid_of
from flagger.sandbox.apiserver import ApiServer
from flagger.sandbox.controllers import NAMES, Controllers
from tests.sandbox.controllers.player import Player

WITHIN = 15.0  # seconds that anything eventual may take
_numbers = itertools.count(1)


@contextlib.contextmanager
def in_background(work: Callable[[], contextlib.AbstractAsyncContextManager[Any]]) -> Iterator[Any]:
    """Have an async context entered in a loop of its own, in a thread, as if it were another process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cluster")
    thread.start()
    leave = asyncio.Event()
    entered: asyncio.Future[Any] = loop.create_future()

    async def stay() -> None:
        async with work() as value:
            entered.set_result(value)
            await leave.wait()

    staying = asyncio.run_coroutine_threadsafe(stay(), loop)
    try:
        while not entered.done():
            assert not staying.done(), staying.result()
            time.sleep(0.01)
        yield entered.result()
    finally:
        loop.call_soon_threadsafe(leave.set)
        staying.result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextlib.asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Connection]:
    """The embedded API server."""
    async with ApiServer() as server:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig())
        yield load_connection(kubeconfig)


@contextlib.asynccontextmanager
async def inhabited(connection: Connection, *, only: Collection[str]) -> AsyncIterator[Connection]:
    """Some of our controllers, and pods that are played."""
    async with Client(connection) as client:
        tasks = [asyncio.create_task(Player(client).run())]
        if only:
            tasks.append(asyncio.create_task(Controllers(client, only).run()))
        try:
            yield connection
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    task.result()


# The player binds pods itself, so that the same tests run where there is no scheduler.
PLAYED = [name for name in NAMES if name != "scheduler"]


@contextlib.asynccontextmanager
async def embedded_cluster(folder: Path) -> AsyncIterator[Connection]:
    """The embedded API server with our controllers."""
    async with embedded(folder) as connection, inhabited(connection, only=PLAYED):
        yield connection


@dataclass(frozen=True)
class World:
    """A namespace of its own in a cluster."""

    client: Client
    namespace: str

    def named(self, obj: Object) -> Object:
        """The object in this namespace."""
        return {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}

    async def create(self, kind: Kind, obj: Object) -> Object:
        """Create an object."""
        return await self.client.create(kind, self.named(obj))

    async def get(self, kind: Kind, name: str) -> Object:
        """Read an object."""
        return await self.client.get(kind, name, self.namespace)

    async def patch(self, kind: Kind, name: str, body: Object, **options: Any) -> Object:
        """Change an object."""
        return await self.client.patch(kind, name, self.namespace, body, **options)

    async def all(self, kind: Kind, labels: str = "") -> list[Object]:
        """The objects of a kind, oldest first."""
        items = (await self.client.list(kind, self.namespace, labels=labels)).items
        return sorted(items, key=lambda obj: int(obj["metadata"]["resourceVersion"]))

    async def pods(self, labels: str = "") -> list[Object]:
        """The pods that are not being deleted."""
        return [pod for pod in await self.all(POD, labels) if "deletionTimestamp" not in pod["metadata"]]

    async def deployed(self, name: str = "web", **expected: Any) -> Object:
        """The Deployment once its rollout is complete, and its spec or status has these values."""

        async def check() -> Object | None:
            deployment = await self.get(DEPLOYMENT, name)
            return deployment if is_deployed(deployment) and has(deployment, expected) else None

        return await until(check, f"{name} is rolled out with {expected}")

    async def when(self, kind: Kind, name: str, check: Callable[[Object], Any], what: str) -> Object:
        """The object once a check is true of it."""

        async def look() -> Object | None:
            try:
                obj = await self.get(kind, name)
            except NotFound:
                return None
            return obj if check(obj) else None

        return await until(look, what)

    async def gone(self, kind: Kind, name: str) -> None:
        """Wait until an object does not exist."""

        async def look() -> bool:
            try:
                await self.get(kind, name)
            except NotFound:
                return True
            return False

        await until(look, f"{kind.kind} {name} is gone")

    async def sets(self) -> list[Object]:
        """The ReplicaSets, oldest first."""
        return sorted(await self.all(REPLICA_SET), key=revision)

    async def sets_at(self, number: int) -> list[Object]:
        """The ReplicaSets of a revision."""
        return [one for one in await self.sets() if revision(one) == number]

    async def events(self, reason: str) -> list[Object]:
        """The Events with a reason, once there are some."""

        async def look() -> list[Object]:
            return [event for event in await self.all(EVENT) if event["reason"] == reason]

        return await until(look, f"an Event {reason}")


def is_deployed(deployment: Object) -> bool:
    """Is a rollout complete?"""
    status, replicas = deployment["status"], deployment["spec"]["replicas"]
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    names = ("replicas", "updatedReplicas", "availableReplicas")
    return current and all(status.get(name, 0) == replicas for name in names)


def has(deployment: Object, expected: dict[str, Any]) -> bool:
    """Does a Deployment have these values?"""
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    values = {"image": image, "replicas": deployment["spec"]["replicas"]}
    return all(values.get(name) == value for name, value in expected.items())


def revision(obj: Object) -> int:
    """The revision of a Deployment or ReplicaSet."""
    return int((obj["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0"))


def condition(obj: Object, kind: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry["type"] == kind:
            return entry["status"], entry.get("reason", "")
    return "", ""


def owned_by(obj: Object, owner: Object) -> bool:
    """Does an object name another as its owner?"""
    return any(each["uid"] == uid_of(owner) for each in obj["metadata"].get("ownerReferences") or ())


async def until(check: Callable[[], Awaitable[Any]], what: str, within: float = WITHIN) -> Any:
    """Poll until `check` returns something true, and return it."""
    deadline = time.monotonic() + within
    while not (found := await check()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.02)
    return found


@contextlib.asynccontextmanager
async def a_world(connection: Connection) -> AsyncIterator[World]:
    """A fresh namespace, which is left to be deleted."""
    async with Client(connection) as client:
        name = f"controllers-{os.getpid()}-{next(_numbers)}"
        await client.create(NAMESPACE, {"metadata": {"name": name}})
        yield World(client, name)
        with contextlib.suppress(NotFound):  # a test about its end
            await client.delete(NAMESPACE, name)


def a_template(*, image: str = "registry.local/web:1", app: str = "web", **annotations: str) -> Object:
    """A pod template; `annotations` are orders for the player: `ready="never"` becomes `play/ready: never`."""
    return {
        "metadata": {
            "labels": {"app": app},
            "annotations": {f"play/{key}": v for key, v in annotations.items()},
        },
        "spec": {
            "containers": [
                {"name": "app", "image": image, "ports": [{"name": "http", "containerPort": 9898}]}
            ]
        },
    }


def a_deployment(*, replicas: int = 2, template: Object | None = None, **spec: Any) -> Object:
    """A Deployment `web`."""
    return {
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template or a_template(),
            **spec,
        },
    }


def image_patch(image: str, **annotations: str) -> Object:
    """A merge patch to another version."""
    return {"spec": {"template": a_template(image=image, **annotations)}}
