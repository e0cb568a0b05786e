"""The kubelet: has a Node, and runs the pods that are bound to it as processes of this machine."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.objects import (
    CONFIG_MAP,
    NODE,
    POD,
    SECRET,
    SERVICE,
    Object,
    key_of,
    namespace_of,
    uid_of,
)
from flagger.sandbox.events import EventRecorder, utc_now
from flagger.sandbox.kubelet import leftovers, node, server
from flagger.sandbox.kubelet.addresses import Addresses
from flagger.sandbox.kubelet.launch import Isolation
from flagger.sandbox.kubelet.log_files import LogFiles
from flagger.sandbox.kubelet.machine import Machine
from flagger.sandbox.kubelet.pod import Pod
from flagger.sandbox.kubelet.processes import Processes

HOST = "127.0.0.1"
GATHER = 0.03  # seconds in which changes of Services are gathered before hosts files are written
OVER = frozenset({"Succeeded", "Failed"})

log = structlog.get_logger(__name__)


class Kubelet:
    """Runs the pods of one node; `run` until cancelled, after which none of their processes is left."""

    def __init__(
        self,
        client: Client,
        *,
        state_dir: Path,
        pod_cidr: str = "127.128.0.0/16",
        node_name: str = "sandbox",
        back_off: float = 10.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`back_off` is the wait before a container's second restart, in seconds; it doubles up to 5 minutes.

        `state_dir` holds pods' files and logs.
        """
        self._client = client
        self._pod_cidr = pod_cidr
        self._node_name = node_name
        self._back_off = back_off
        self._now = now
        self._folder = state_dir
        self._addresses = Addresses(pod_cidr)
        self._pods: dict[str, tuple[Pod, asyncio.Task[None]]] = {}  # by uid
        self._names_changed = asyncio.Event()

    async def run(self) -> None:
        """Register the node, run its pods, send its heartbeat."""
        leftovers.clean(self._folder / "pods")
        for name in ("pods", "logs"):  # Secrets are in there
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        logs = LogFiles(self._folder / "logs", self._now)
        async with (
            Processes() as processes,
            server.serving(logs, self._now, HOST) as port,
            asyncio.TaskGroup() as group,
        ):
            recorder = EventRecorder(self._client, "kubelet", host=self._node_name, now=self._now)
            machine = self._machine(processes, recorder, logs)
            for informer in machine.caches.values():
                group.create_task(informer.run())
            for informer in machine.caches.values():
                await informer.wait_synced()
            await self._register(port)
            group.create_task(node.heartbeat(self._client, self._node_name, self._now))
            group.create_task(recorder.run())
            group.create_task(self._keep_names())
            group.create_task(self._run_pods(group, machine))

    def _machine(self, processes: Processes, recorder: EventRecorder, logs: LogFiles) -> Machine:
        on_change = {
            CONFIG_MAP: self._config_changed,
            SECRET: self._config_changed,
            SERVICE: self._service_changed,
        }
        kinds = [CONFIG_MAP, SECRET, SERVICE, *([NODE] if processes.isolation == Isolation.NONE else [])]
        return Machine(
            client=self._client,
            processes=processes,
            recorder=recorder,
            logs=logs,
            caches={kind: Informer(self._client, kind, on_change=on_change.get(kind)) for kind in kinds},
            folder=self._folder / "pods",
            node_name=self._node_name,
            host_ip=HOST,
            capacity=node.capacity(),
            now=self._now,
            back_off=self._back_off,
        )

    async def _register(self, port: int) -> None:
        status = node.node_status(self._node_name, HOST, port, self._now())
        await node.register(self._client, node.node_object(self._node_name, self._pod_cidr), status)

    async def _run_pods(self, group: asyncio.TaskGroup, machine: Machine) -> None:
        """Follow the pods of this node for ever."""

        def on_change(old: Object | None, new: Object | None) -> None:
            if old is not None and (new is None or uid_of(old) != uid_of(new)):
                self._forget(old, machine)
            if new is not None and new["spec"].get("nodeName") == self._node_name:
                self._follow(new, group, machine)

        pods = Informer(self._client, POD, on_change=on_change)
        following = group.create_task(pods.run())
        await pods.wait_synced()
        machine.logs.keep_only(list(pods.items()))
        await following

    def _follow(self, pod: Object, group: asyncio.TaskGroup, machine: Machine) -> None:
        """Start a pod that is new here, tell the others what has changed."""
        known = self._pods.get(uid_of(pod))
        if known is not None:
            known[0].update(pod)
        elif pod.get("status", {}).get("phase") not in OVER:
            address = self._addresses.take()
            started = Pod(pod, machine, address)
            task = group.create_task(self._run_pod(started, address), name=f"pod {key_of(pod)}")
            self._pods[uid_of(pod)] = (started, task)

    async def _run_pod(self, pod: Pod, address: str) -> None:
        try:
            await pod.run()
        except Exception:
            # What goes wrong with one pod must not end the others.
            log.exception("a pod could not be run", pod=key_of(pod.object))
        finally:
            self._addresses.give_back(address)

    def _forget(self, pod: Object, machine: Machine) -> None:
        """The API server has no such pod any more: end what may still run."""
        known = self._pods.pop(uid_of(pod), None)
        if known is not None:
            known[1].cancel()
        machine.logs.remove(pod)

    def _config_changed(self, old: Object | None, new: Object | None) -> None:
        namespace = namespace_of(new or old or {})
        for pod, _ in self._pods.values():
            if namespace_of(pod.object) == namespace:
                pod.configs_changed()

    def _service_changed(self, _old: Object | None, _new: Object | None) -> None:
        self._names_changed.set()

    async def _keep_names(self) -> None:
        """Write the names of Services into the hosts files of all pods when they change."""
        while True:
            await self._names_changed.wait()
            await asyncio.sleep(GATHER)
            self._names_changed.clear()
            for pod, _ in self._pods.values():
                pod.names_changed()
