"""One pod: from its binding to this node to its end."""

import asyncio
import shutil
from pathlib import Path

from flagger.kube.objects import Object, is_terminating, name_of, namespace_of, uid_of
from flagger.sandbox.kubelet.container import Container
from flagger.sandbox.kubelet.earlier import state_of_earlier_life
from flagger.sandbox.kubelet.environment import MissingConfig, PodFacts
from flagger.sandbox.kubelet.hosts import hosts_file, put
from flagger.sandbox.kubelet.machine import Machine, Surroundings
from flagger.sandbox.kubelet.publisher import Publisher
from flagger.sandbox.kubelet.status import PodState, pod_status
from flagger.sandbox.kubelet.tokens import token_files
from flagger.sandbox.kubelet.volumes import VolumeError, set_up

RETRY = 0.5  # seconds after which a volume's missing parts are looked for again (in the cache)
GRACE = 30.0  # seconds, unless the pod says otherwise


class Pod:
    """A pod of this node; `run` lives as long as the pod does."""

    def __init__(self, pod: Object, machine: Machine, ip: str) -> None:
        self._pod = pod
        self._machine = machine
        self._facts = PodFacts(pod, ip, machine.host_ip, machine.capacity)
        self._folder = machine.folder / uid_of(pod)
        self._volumes: dict[str, Path] = {}
        self._publisher = Publisher(machine.client, pod, self._status)
        self._surroundings = Surroundings(
            machine, self._facts, self._folder, self._volumes, self._publisher.changed
        )
        self._init = [self._container(spec, init=True) for spec in pod["spec"].get("initContainers") or ()]
        self._main = [self._container(spec, init=False) for spec in pod["spec"]["containers"]]
        self._started = machine.now()
        self._leaving = asyncio.Event()
        self._initialized = False
        self._over = False
        self._verdict: tuple[str, str] | None = None
        if is_terminating(pod):
            self._leaving.set()

    @property
    def object(self) -> Object:
        """The pod as the API server has it."""
        return self._pod

    def _container(self, spec: Object, *, init: bool) -> Container:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        if init:
            policy = spec.get("restartPolicy") or ("OnFailure" if policy == "Always" else policy)
        state = state_of_earlier_life(self._pod, spec, policy, self._machine.now())
        state.sidecar = init and policy == "Always"
        return Container(spec, self._surroundings, state, policy=policy)

    def update(self, pod: Object) -> None:
        """The API server has a new state of the pod."""
        self._pod = pod
        if is_terminating(pod):
            self._leaving.set()
        if pod["spec"].get("readinessGates"):
            self._publisher.changed()

    def names_changed(self) -> None:
        """Services came, changed or went."""
        if self._folder.is_dir():
            text = hosts_file(
                name_of(self._pod), namespace_of(self._pod), self._facts.ip, self._machine.services()
            )
            put(self._folder / "hosts", text)

    def configs_changed(self) -> None:
        """ConfigMaps or Secrets of the namespace have changed: so do the files made from them."""
        for volume in self._pod["spec"].get("volumes") or ():
            if volume["name"] in self._volumes:
                try:
                    set_up(volume, self._folder / "volumes", self._facts, self._machine.lookup)
                except MissingConfig:
                    continue  # what a running pod has, it keeps

    async def run(self) -> None:
        """Start it, keep it running, end it, and tell the API server all the while."""
        if self._leaving.is_set():  # deleted while this node was down
            await self._publisher.remove()
            return
        (self._folder / "root").mkdir(parents=True, exist_ok=True)
        self.names_changed()
        try:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(self._publisher.run())
                self._publisher.changed()
                await self._live()
                if not self._leaving.is_set():
                    await self._publisher.flushed()
                publishing.cancel()
            if self._leaving.is_set():
                await self._publisher.remove()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _live(self) -> None:
        """From the first container to the last."""
        working = asyncio.create_task(self._work())
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            limit = self._pod["spec"].get("activeDeadlineSeconds")
            await asyncio.wait({working, leaving}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                if not leaving.done():
                    text = "Pod was active on the node longer than the specified deadline"
                    self._verdict = ("DeadlineExceeded", text)
                await self._stop()
            else:
                working.result()
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.wait({working, leaving})
        self._over = True
        self._publisher.changed()

    async def _work(self) -> None:
        """Volumes, init containers, containers; ends when no container is to be started any more."""
        await self._set_up_volumes()
        async with asyncio.TaskGroup() as group:
            sidecars = [container for container in self._init if container.state.sidecar]
            helping: list[asyncio.Task[None]] = []
            if await self._initialize(group, helping):
                self._initialized = True
                self._publisher.changed()
                await asyncio.wait([group.create_task(container.run()) for container in self._main])
            await asyncio.gather(*(sidecar.stop(self._grace()) for sidecar in sidecars))
            for task in helping:
                task.cancel()

    async def _initialize(self, group: asyncio.TaskGroup, helping: list[asyncio.Task[None]]) -> bool:
        """Run the init containers in order; those that stay are added to `helping`. False if one failed."""
        for container in self._init:
            if container.state.sidecar:
                helping.append(group.create_task(container.run()))
                await container.up.wait()
            else:
                await container.run()
            if not container.state.succeeded:
                return False
        return True

    async def _set_up_volumes(self) -> None:
        """Make all volumes; waits for ConfigMaps and Secrets that are missing."""
        self._facts.tokens.update(await token_files(self._machine.client, self._pod))
        for volume in self._pod["spec"].get("volumes") or ():
            while volume["name"] not in self._volumes:
                try:
                    path = set_up(volume, self._folder / "volumes", self._facts, self._machine.lookup)
                    self._volumes[volume["name"]] = path
                except (MissingConfig, VolumeError) as error:
                    text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                    self._surroundings.event("FailedMount", text, warning=True)
                    await asyncio.sleep(RETRY)

    async def _stop(self) -> None:
        """End all containers: those that do the work, then their helpers."""
        grace = self._grace()
        for containers in (self._main, self._init):
            await asyncio.gather(*(container.stop(grace) for container in containers))

    def _grace(self) -> float:
        given = self._pod["metadata"].get("deletionGracePeriodSeconds")
        if given is None:
            given = self._pod["spec"].get("terminationGracePeriodSeconds", GRACE)
        return float(given)

    def _status(self, old: Object) -> Object:
        opened = {
            c["type"]: c["status"] == "True" for c in self._pod.get("status", {}).get("conditions") or ()
        }
        gates = [gate["conditionType"] for gate in self._pod["spec"].get("readinessGates") or ()]
        state = PodState(
            init=[container.state for container in self._init],
            main=[container.state for container in self._main],
            started=self._started,
            ip=self._facts.ip,
            host_ip=self._machine.host_ip,
            initialized=self._initialized,
            over=self._over,
            verdict=self._verdict,
            gates={gate: opened.get(gate, False) for gate in gates},
        )
        return pod_status(state, old, self._machine.now())
