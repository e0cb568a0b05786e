"""One tick of one Canary: look, repair, decide, act, call the last hooks, commit, announce."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
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
from flagger.rollout.capacity import held_until
from flagger.rollout.decide import decide
from flagger.rollout.facts import Facts
from flagger.rollout.gates import last_reports
from flagger.rollout.state import Announcement, Decision, Event, Snapshot, Wait
from flagger.rollout.waits import over
from flagger.routing.base import RouteError
from flagger.runtime.announce import announce, shown
from flagger.runtime.answer import answer, moments, record_first
from flagger.runtime.commit import CanaryGone, commit
from flagger.runtime.finalize import is_held, read_once_more, set_finalizer
from flagger.runtime.kinds import CANARY
from flagger.runtime.measure import measure
from flagger.runtime.observe import call_hooks, observe
from flagger.runtime.perform import perform
from flagger.runtime.prepare import prepare
from flagger.runtime.reject import reject
from flagger.runtime.release import chronicle
from flagger.runtime.requests import has_requests, hold_of, with_requests
from flagger.runtime.schedule import double
from flagger.runtime.snapshot import View, has_come, read, view
from flagger.runtime.world import World
from flagger.workloads.base import SupersededError, TargetError

log = structlog.get_logger(__name__)

PODS_WITHIN = (
    10.0  # seconds between two looks at traffic that has to leave a side, and waits for pods to do so
)

PASSING = (AlreadyExists, Conflict, ServerTimeout, TooManyRequests, Unreachable)
"""Failures that go away by themselves: nobody has to be told of them."""

CONTESTED = 2  # ticks in a row that broke off before one more conflict is told


@dataclass(slots=True)
class Memory:
    """What is remembered of a Canary from tick to tick; losing it repeats a message at worst.

    `reason` says how the last tick ended and `waits_for` what it waits for, `warned` is the generation whose
    warnings were told, `setbacks` counts the ticks in a row that the API server cut short. `due` is when an
    analysis is to go on, `hold` the pause that the object itself asked for.
    """

    reason: str = ""
    waits_for: Wait | None = None
    warned: int = -1
    setbacks: int = 0
    due: datetime | None = None
    hold: str | None = None


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
            canary = (read_once_more if is_held(stored) else read)(stored)
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
                self._contested(memory, canary, error)
                return min(self._set_back(memory, shown(canary), error), self._interval(canary))
            return self._halted(memory, canary, error)

    async def _tick(self, memory: Memory, stored: Object, canary: Canary) -> tuple[View, Decision]:
        world, begun = self._world, self._world.clock()
        seen = await view(world, stored, canary, memory.reason)
        self._warn(memory, seen)
        if await prepare(world, seen):
            seen = await view(world, stored, canary, memory.reason)
        seen = await with_requests(world, seen, early=self._is_early(memory, seen))
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
        await commit(world.cluster, seen.stored, canary, decision.status, early=record_first(decision))
        announce(world, canary, (*told, *decision.told_last), seen.seen.phase)
        await answer(world, seen, decision)
        await chronicle(world, seen, decision)

    def _is_early(self, memory: Memory, seen: View) -> bool:
        """Whether somebody's act brings this tick before its time, and not something that was waited for."""
        hold, run = hold_of(seen.stored), seen.canary.status.run
        lapsed = run is not None and run.hold is not None and over(seen.seen, run.hold)
        asked = has_requests(self._world, seen.stored, seen.canary.key) or hold != memory.hold or lapsed
        memory.hold = hold
        if memory.due is None or memory.waits_for is not None:
            return False
        return asked and self._world.clock() + self._slack(seen.canary) < memory.due

    def _slack(self, canary: Canary) -> timedelta:
        return timedelta(seconds=self._interval(canary) / 10)

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
            if is_held(stored):
                await set_finalizer(self._world.cluster, stored, present=False)
        except KubeError as failure:
            return self._set_back(memory, f"{name_of(stored)}.{namespace_of(stored)}", failure)
        memory.setbacks = 0
        return None

    def _set_back(self, memory: Memory, name: str, error: KubeError) -> float:
        """The API server was gone, or somebody wrote in between: nothing to tell, try again soon."""
        memory.setbacks += 1
        log.info("tick set back", canary=name, reason=str(error))
        return double(memory.setbacks)

    def _contested(self, memory: Memory, canary: Canary, error: KubeError) -> None:
        """Somebody who changes an object whenever we do goes on with it, so that is said, once in a row."""
        if isinstance(error, Conflict) and memory.setbacks == CONTESTED:
            announce(self._world, canary, (Event(str(error), warning=True),), canary.status.phase)

    def _halted(self, memory: Memory, canary: Canary, error: Exception) -> float:
        """Something refused to be read or written: say so and come again at the next interval."""
        text = str(error)
        announce(self._world, canary, (Event(text, warning=True),), canary.status.phase)
        memory.reason, memory.waits_for, memory.setbacks = text, None, 0
        return self._interval(canary)

    def _concluded(self, memory: Memory, seen: View, decision: Decision) -> float | None:
        canary, phase = seen.canary, decision.status.phase
        log.debug("tick done", canary=shown(canary), phase=str(phase), reason=decision.reason)
        memory.reason, memory.waits_for, memory.setbacks = decision.reason, decision.waits_for, 0
        waits = decision.waits_for is not None
        rests = canary.spec.suspend or seen.seen.problems
        moves = not rests and (waits or phase in ACTIVE | INITIAL)
        if seen.seen.deleting:
            moves = waits or bool(decision.effects)
        times = list(moments(seen.seen, decision, self._interval(canary)))
        if moves:
            times.append(self._rhythm(memory, seen, decision))
        elif not rests and (left := until_released(seen.seen, decision)) is not None:
            times.append(left)
        return min(times, default=None)

    def _rhythm(self, memory: Memory, seen: View, decision: Decision) -> float:
        """Seconds to the next tick of a run; one that an act brought early doesn't move it."""
        now, interval = self._world.clock(), self._interval(seen.canary)
        if seen.seen.early and memory.due is not None and not (decision.effects or decision.examined):
            return max(0.0, (memory.due - now).total_seconds())
        memory.due = now + timedelta(seconds=interval)
        return min(interval, PODS_WITHIN) if decision.waits_for is Wait.CAPACITY else interval

    def _interval(self, canary: Canary) -> float:
        return canary.interval(self._world.settings.analysis_interval_floor).total_seconds()


async def conclude(world: World, seen: View) -> Decision:
    """Ask the core until it decides."""
    facts = Facts()
    while not isinstance(verdict := decide(seen.seen, facts), Decision):
        facts = await observe(world, seen, facts, verdict)
    return verdict


def until_released(seen: Snapshot, decision: Decision) -> float | None:
    """Seconds until the autoscalers of a run that is over are left to themselves, if that is still to come."""
    until = held_until(decision.status, seen)
    left = (until - seen.now).total_seconds() if until else 0.0
    return left if left > 0 else None
