"""A kubelet without processes: it binds pods and writes the statuses that their annotations ask for.

Annotations: `play/ready` is `never` for a pod that stays unready, `play/exit` a code that its container exits with, and
`play/hold` keeps a deleted pod until the annotation is removed.
"""

import asyncio
import itertools
from datetime import UTC, datetime

import msgspec

from flagger.kube.client import Client, PatchType
from flagger.kube.errors import Conflict, Forbidden, NotFound
from flagger.kube.informer import Informer
from flagger.kube.objects import POD, Object, annotations_of, is_terminating, name_of, namespace_of, uid_of

NODE = "node-a"


class Player:
    """Plays the kubelet of all pods."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed: asyncio.Queue[Object] = asyncio.Queue()
        self._begun: set[str] = set()
        self._addresses = (f"10.244.{number // 250}.{number % 250 + 2}" for number in itertools.count())

    async def run(self) -> None:
        """Play until cancelled."""

        def on_change(_old: Object | None, new: Object | None) -> None:
            if new is not None:
                self._changed.put_nowait(new)

        async with asyncio.TaskGroup() as group:
            group.create_task(Informer(self._client, POD, on_change=on_change).run())
            while True:
                pod = await self._changed.get()
                try:
                    await self._play(pod)
                except (NotFound, Conflict, Forbidden):
                    continue  # gone, going, or changed, and then there will be another notice

    async def _play(self, pod: Object) -> None:
        wishes = annotations_of(pod)
        phase = pod["status"].get("phase", "Pending")
        if is_terminating(pod):
            if "play/hold" not in wishes:
                await self._remove(pod)
        elif not pod["spec"].get("nodeName"):
            await self._bind(pod)
        elif phase == "Pending" and uid_of(pod) not in self._begun:
            self._begun.add(uid_of(pod))
            await self._write(
                pod, started(pod, next(self._addresses), ready=wishes.get("play/ready") != "never")
            )
        elif phase == "Running" and "play/exit" in wishes:
            await self._write(pod, ended(int(wishes["play/exit"])))

    async def _bind(self, pod: Object) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": node_for(pod)}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name_of(pod)}, "target": target}
        path = POD.path(namespace_of(pod), name_of(pod), "binding")
        await self._client.raw("POST", path, body=msgspec.json.encode(body), headers=JSON)

    async def _write(self, pod: Object, status: Object) -> None:
        body = {"metadata": {"uid": uid_of(pod)}, "status": status}
        content = PatchType.STRATEGIC
        await self._client.patch(
            POD, name_of(pod), namespace_of(pod), body, subresource="status", content=content
        )

    async def _remove(self, pod: Object) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid_of(pod)}}
        path = POD.path(namespace_of(pod), name_of(pod))
        await self._client.raw("DELETE", path, body=msgspec.json.encode(options), headers=JSON)


JSON = {"Content-Type": "application/json"}


def node_for(pod: Object) -> str:
    """The node that a pod of a DaemonSet is meant for, or any."""
    try:
        rule = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        return str(rule["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])
    except KeyError:
        return NODE


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def started(pod: Object, ip: str, *, ready: bool) -> Object:
    """The status of a pod that runs."""
    verdict = "True" if ready else "False"
    states = {"Initialized": "True", "Ready": verdict, "ContainersReady": verdict}
    container = {
        "name": pod["spec"]["containers"][0]["name"],
        "image": pod["spec"]["containers"][0]["image"],
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "state": {"running": {"startedAt": now()}},
    }
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": now(),
        "conditions": [
            {"type": kind, "status": s, "lastTransitionTime": now()} for kind, s in states.items()
        ],
        "containerStatuses": [container],
    }


def ended(code: int) -> Object:
    """The changes of the status of a pod whose container has ended."""
    terminated = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": now(),
        "finishedAt": now(),
    }
    container = {"name": "app", "image": "i", "imageID": "", "restartCount": 0, "ready": False}
    return {
        "phase": "Failed" if code else "Succeeded",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now()}],
        "containerStatuses": [container | {"state": {"terminated": terminated}}],
    }
