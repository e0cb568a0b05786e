"""One container: started, probed, stopped, and started again as its pod's policy says."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import datetime

from flagger.kube.objects import Object, name_of, namespace_of, uid_of
from flagger.sandbox.kubelet import probes
from flagger.sandbox.kubelet.actions import Actions
from flagger.sandbox.kubelet.environment import MissingConfig, environment
from flagger.sandbox.kubelet.images import NoImage, Program, program
from flagger.sandbox.kubelet.launch import CANNOT_START
from flagger.sandbox.kubelet.machine import Surroundings
from flagger.sandbox.kubelet.processes import Process, StartError
from flagger.sandbox.kubelet.status import ContainerState, Running, Terminated, Waiting

LINGER = 0.2  # seconds to wait for the rest of the output of a process that has ended
RETRY = 0.5  # seconds after which a missing ConfigMap or Secret is looked for again (in the cache)
IMAGE_ERROR_SHOWN = 1.0  # seconds for which ErrImagePull is shown before it becomes ImagePullBackOff
LONGEST_BACK_OFF = 300.0  # seconds
FORGIVEN = 600.0  # seconds of running after which a crash counts as the first one


class Container:
    """One container of a pod; `state` is what it reports."""

    def __init__(self, spec: Object, pod: Surroundings, state: ContainerState, *, policy: str) -> None:
        """`policy` is the restart policy: Always, OnFailure or Never."""
        self.spec = spec
        self.state = state
        self._pod = pod
        self._policy = policy
        self._actions = Actions(spec, pod)
        self._process: Process | None = None
        self._stopping = False
        self.up = asyncio.Event()
        """Set once it has been started for the first time."""
        self._unwell: asyncio.Future[int] | None = None
        """Set to the grace period, in seconds, of a process that has to end because a probe says so."""

    async def run(self) -> None:
        """Run it, again and again as the policy says; returns when it is not to be started any more."""
        if isinstance(self.state.state, Terminated) and not self._again(self.state.state):
            return  # it ended for good in an earlier life of the node
        crashes = 0
        while True:
            outcome = await self._run_once()
            self.state.state, self.state.ready, self.state.started = outcome, False, False
            self._pod.changed()
            if self._stopping or not self._again(outcome):
                return
            if (outcome.finished - outcome.started).total_seconds() > FORGIVEN:
                crashes = 0
            if crashes:
                await self._wait_before_restart(outcome, crashes)
            crashes += 1
            self.state.last = outcome
            self.state.restarts += 1

    def _again(self, outcome: Terminated) -> bool:
        """Does the policy want it started again after this end?"""
        return self._policy == "Always" or (self._policy == "OnFailure" and outcome.code != 0)

    async def _wait_before_restart(self, outcome: Terminated, crashes: int) -> None:
        delay = min(LONGEST_BACK_OFF, self._pod.machine.back_off * 2 ** (crashes - 1))
        pod = self._pod.facts.pod
        which = f"container={self.state.name} pod={name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
        self.state.last = outcome
        self.state.state = Waiting("CrashLoopBackOff", f"back-off {delay:g}s restarting failed {which}")
        self._pod.event("BackOff", f"Back-off restarting failed container {self.state.name}", warning=True)
        self._pod.changed()
        await asyncio.sleep(delay)

    async def _run_once(self) -> Terminated:
        """From finding out what to run to its end."""
        what = await self._resolved()
        started = self._pod.machine.now()
        log = self._pod.machine.logs.open(self._pod.facts.pod, self.state.name, self.state.restarts)
        reader, writer = os.pipe()
        collecting = asyncio.create_task(log.collect(reader))
        try:
            self._process = await self._actions.start(what, writer, noted=True)
            code = await self._attended(self._process, started)
            reason, message = "Completed" if code == 0 else "Error", ""
        except StartError as error:
            code, reason, message = CANNOT_START, "StartError", str(error)
            self._pod.event("Failed", f"Error: {error}", warning=True)
        finally:
            if self._process is not None:  # it may still run when the pod is torn down
                self._pod.machine.processes.signal(self._process, signal.SIGKILL)
            await asyncio.wait({collecting}, timeout=LINGER)
            collecting.cancel()
        return Terminated(code, reason, started, self._pod.machine.now(), message)

    async def _resolved(self) -> Program:
        """What to run; waits, and says why in the state, for as long as that cannot be said."""
        while True:
            try:
                pod = self._pod
                base = pod.machine.variables(pod.facts.pod, pod.facts.ip)
                self._actions.env = environment(self.spec, pod.facts, pod.machine.lookup, base)
                return program(self.spec, self._actions.env)
            except MissingConfig as error:
                self._waiting("CreateContainerConfigError", str(error), "Failed")
                await asyncio.sleep(RETRY)
            except NoImage as error:
                self._waiting("ErrImagePull", str(error), "Failed")
                await asyncio.sleep(IMAGE_ERROR_SHOWN)
                text = f'Back-off pulling image "{self.spec.get("image", "")}": {error}'
                self._waiting("ImagePullBackOff", text, "BackOff")
                await asyncio.Event().wait()  # until the pod is deleted: images do not appear

    def _waiting(self, reason: str, message: str, event: str) -> None:
        if self.state.state != Waiting(reason, message):
            self.state.state = Waiting(reason, message)
            self._pod.event(event, f"Error: {message}", warning=True)
            self._pod.changed()

    async def _attended(self, process: Process, started: datetime) -> int:
        """Report that it runs, probe it, end it if a probe says so, and wait for its end."""
        self.state.id = f"flagger://{uid_of(self._pod.facts.pod)}/{self.state.name}/{self.state.restarts}"
        self.state.state = Running(started)
        self._pod.event("Started", f"Started container {self.state.name}")
        self._pod.changed()
        self._unwell = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(process.wait())
        probing = asyncio.create_task(self._probe())
        try:
            await asyncio.wait({waiting, self._unwell}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await self._terminate(self._unwell.result())
            return await waiting
        finally:
            probing.cancel()
            waiting.cancel()
            await asyncio.wait({probing})
            if not probing.cancelled():
                probing.result()

    async def _probe(self) -> None:
        """Find out when it is started and ready, and whether it lives."""
        hooks = self.spec.get("lifecycle") or {}
        if "postStart" in hooks and (why := await self._actions.act(hooks["postStart"], FORGIVEN)):
            self._pod.event("FailedPostStartHook", why, warning=True)
            self._end_because("failed its postStart hook", 0)
        if startup := self.spec.get("startupProbe"):
            await self._until_started(startup)
        self.state.started = True
        self.up.set()
        self.state.ready = "readinessProbe" not in self.spec
        self._pod.changed()
        async with asyncio.TaskGroup() as group:
            for name, tell in (("readinessProbe", self._readiness), ("livenessProbe", self._liveness)):
                if name in self.spec:
                    group.create_task(self._watch(self.spec[name], tell, eager=name == "readinessProbe"))

    async def _until_started(self, probe: Object) -> None:
        done = asyncio.Event()

        def tell(good: bool, why: str) -> None:
            if good:
                done.set()
            else:
                self._unhealthy("Startup", why, probe)

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(probe, tell, eager=True))
            await done.wait()
            watching.cancel()

    async def _watch(self, probe: Object, tell: Callable[[bool, str], None], *, eager: bool) -> None:
        rule = probes.Rule.of(probe)
        await probes.watch(rule, lambda limit: self._actions.act(probe, limit), tell, eager=eager)

    def _readiness(self, good: bool, why: str) -> None:
        if not good:
            self._pod.event("Unhealthy", f"Readiness probe failed: {why}", warning=True)
        if self.state.ready != good:
            self.state.ready = good
            self._pod.changed()

    def _liveness(self, good: bool, why: str) -> None:
        if not good:
            self._unhealthy("Liveness", why, self.spec["livenessProbe"])

    def _unhealthy(self, which: str, why: str, probe: Object) -> None:
        self._pod.event("Unhealthy", f"{which} probe failed: {why}", warning=True)
        grace = probes.Rule.of(probe).grace
        usual = self._pod.facts.pod["spec"].get("terminationGracePeriodSeconds", 30)
        self._end_because(f"failed {which.lower()} probe", usual if grace is None else grace)

    def _end_because(self, why: str, grace: int) -> None:
        """Have the process ended; the policy decides what comes next."""
        if self._unwell is not None and not self._unwell.done():
            self._pod.event("Killing", f"Container {self.state.name} {why}, will be restarted")
            self._unwell.set_result(grace)

    async def stop(self, grace: float) -> None:
        """End it for good: hook, SIGTERM, and SIGKILL when `grace` seconds are over."""
        self._stopping = True
        if self._process is not None and not self._process.ended:
            self._pod.event("Killing", f"Stopping container {self.state.name}")
            await self._terminate(grace)

    async def _terminate(self, grace: float) -> None:
        process = self._process
        if process is None:
            return
        deadline = asyncio.get_running_loop().time() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace and (why := await self._actions.act(hook, grace)):
            self._pod.event("FailedPreStopHook", why, warning=True)
        self._pod.machine.processes.signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout_at(deadline):
                await process.wait_ended()
        except TimeoutError:
            self._pod.machine.processes.signal(process, signal.SIGKILL)
            await process.wait_ended()
