"""One tick of one Canary: look, repair, decide, act, call the last hooks, commit, announce."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import structlog

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.names import FINALIZER
from flagger.api.phases import ACTIVE, INITIAL
from flagger.kube.errors import (
    AlreadyExists,
    Conflict,
    KubeError,
    ServerTimeout,
    TooManyRequests,
    Unreachable,
)
from flagger.kube.lease import LeaseLost
from flagger.kube.objects import Object, name_of, namespace_of
from flagger.rollout.decide import decide
from flagger.rollout.facts import Facts
from flagger.rollout.gates import last_reports
from flagger.rollout.state import Announcement, Decision, Event, Wait
from flagger.routing.base import RouteError
from flagger.runtime.announce import announce, shown
from flagger.runtime.commit import CanaryGone, commit
from flagger.runtime.kinds import CANARY
from flagger.runtime.measure import measure
from flagger.runtime.observe import call_hooks, observe
from flagger.runtime.perform import perform
from flagger.runtime.prepare import prepare
from flagger.runtime.reject import reject
from flagger.runtime.schedule import double
from flagger.runtime.snapshot import View, has_come, read, view
from flagger.runtime.world import World
from flagger.workloads.base import SupersededError, TargetError

log = structlog.get_logger(__name__)

PASSING = (AlreadyExists, Conflict, ServerTimeout, TooManyRequests, Unreachable)
"""Failures that go away by themselves: nobody has to be told of them."""


@dataclass(slots=True)
class Memory:
    """What is remembered of a Canary from tick to tick; losing it repeats a message at worst.

    `reason` says how the last tick ended and `waits_for` what it waits for, `warned` is the generation whose
    warnings were told, `setbacks` counts the ticks in a row that the API server cut short.
    """

    reason: str = ""
    waits_for: Wait | None = None
    warned: int = -1
    setbacks: int = 0


class Advance:
    """Runs the ticks. Keeps nothing that matters: a restart resumes from the Canary's status."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._memories: defaultdict[str, Memory] = defaultdict(Memory)

    async def __call__(self, key: str) -> float | None:
        """One tick; returns the seconds until the next, or None when only a change can bring one."""
        namespace, _, name = key.partition("/")
        try:
            stored = await self._world.cluster.get(CANARY, namespace, name)
            if stored is not None:
                return await self._visit(self._memories[key], stored)
        except (CanaryGone, LeaseLost) as error:
            log.info("tick stopped", canary=f"{name}.{namespace}", reason=str(error))
        self.forget(key)
        return None

    def waits_for(self, key: str) -> Wait | None:
        """What the last tick of a Canary waits for."""
        memory = self._memories.get(key)
        return memory.waits_for if memory else None

    def forget(self, key: str) -> None:
        """The Canary is gone."""
        self._memories.pop(key, None)

    async def _visit(self, memory: Memory, stored: Object) -> float | None:
        try:
            canary = read(stored)
        except FieldError as error:
            return await self._rejected(memory, stored, error)
        try:
            seen, decision = await self._tick(memory, stored, canary)
            news = memory.reason != decision.reason
            again = self._concluded(memory, seen, decision)
            return 0.0 if news and await has_come(self._world, seen, decision.waits_for) else again
        except (RouteError, TargetError, SupersededError) as error:
            return self._halted(memory, canary, error)
        except KubeError as error:
            if isinstance(error, PASSING) or error.status >= 500:
                return min(self._set_back(memory, shown(canary), error), self._interval(canary))
            return self._halted(memory, canary, error)

    async def _tick(self, memory: Memory, stored: Object, canary: Canary) -> tuple[View, Decision]:
        world, begun = self._world, self._world.clock()
        seen = await view(world, stored, canary, memory.reason)
        self._warn(memory, seen)
        if await prepare(world, seen):
            seen = await view(world, stored, canary, memory.reason)
        decision = await conclude(world, seen)
        await self._act(seen, decision)
        measure(world.telemetry, seen.seen, decision, world.clock() - begun)
        return seen, decision

    async def _act(self, seen: View, decision: Decision) -> None:
        """Effects, last hooks, status, announcements; a crash before the status repeats the tick."""
        world, canary = self._world, seen.canary
        for effect in decision.effects:
            await perform(world, seen, effect, decision.status)
        told: tuple[Announcement, ...] = decision.told
        if decision.last_calls is not None:
            answers = await call_hooks(world, seen, decision.last_calls)
            told = (*told, *last_reports(answers, decision.last_calls.phase))
        await commit(world.cluster, seen.stored, canary, decision.status)
        announce(world, canary, (*told, *decision.told_last), seen.seen.phase)

    def _warn(self, memory: Memory, seen: View) -> None:
        """Tell, once per generation, what is wrong with the spec without stopping it."""
        canary = seen.canary
        if memory.warned == canary.metadata.generation:
            return
        memory.warned = canary.metadata.generation
        told = tuple(Event(str(warning), warning=True) for warning in seen.warnings)
        announce(self._world, canary, told, seen.seen.phase)

    async def _rejected(self, memory: Memory, stored: Object, error: FieldError) -> float | None:
        """The Canary can't be read: nothing happens until it is changed."""
        told, memory.reason, memory.waits_for = memory.reason == str(error), str(error), None
        try:
            await reject(self._world, stored, error, told=told)
        except KubeError as failure:
            return self._set_back(memory, f"{name_of(stored)}.{namespace_of(stored)}", failure)
        memory.setbacks = 0
        return None

    def _set_back(self, memory: Memory, name: str, error: KubeError) -> float:
        """The API server was gone, or somebody wrote in between: nothing to tell, try again soon."""
        memory.setbacks += 1
        log.info("tick set back", canary=name, reason=str(error))
        return double(memory.setbacks)

    def _halted(self, memory: Memory, canary: Canary, error: Exception) -> float:
        """Something refused to be read or written: say so and come again at the next interval."""
        text = str(error)
        announce(self._world, canary, (Event(text, warning=True),), canary.status.phase)
        memory.reason, memory.waits_for, memory.setbacks = text, None, 0
        return self._interval(canary)

    def _concluded(self, memory: Memory, seen: View, decision: Decision) -> float | None:
        canary, phase = seen.canary, decision.status.phase
        log.debug("tick done", canary=shown(canary), phase=str(phase), reason=decision.reason)
        held = canary.is_deleting and FINALIZER in canary.metadata.finalizers
        if held and memory.reason != decision.reason:
            todo = "scale the target up, then remove the finalizer by hand"
            log.warning("finalizer not served yet", canary=shown(canary), finalizer=FINALIZER, todo=todo)
        memory.reason, memory.waits_for, memory.setbacks = decision.reason, decision.waits_for, 0
        rests = canary.spec.suspend or seen.seen.problems or seen.seen.deleting
        moves = phase in ACTIVE | INITIAL or decision.waits_for is not None
        return self._interval(canary) if moves and not rests else None

    def _interval(self, canary: Canary) -> float:
        return canary.interval(self._world.settings.analysis_interval_floor).total_seconds()


async def conclude(world: World, seen: View) -> Decision:
    """Ask the core until it decides."""
    facts = Facts()
    while not isinstance(verdict := decide(seen.seen, facts), Decision):
        facts = await observe(world, seen, facts, verdict)
    return verdict
