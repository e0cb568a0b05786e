"""One tick of one Canary: look, repair, decide, act, call the last hooks, commit, announce."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.phases import ACTIVE, INITIAL
from flagger.kube.errors import KubeError
from flagger.rollout.decide import decide
from flagger.rollout.facts import Facts
from flagger.rollout.gates import last_reports
from flagger.rollout.plan import plan
from flagger.rollout.state import Announcement, Decision, Event, Wait
from flagger.routing.base import RouteError
from flagger.runtime.announce import announce
from flagger.runtime.commit import commit
from flagger.runtime.kinds import CANARY
from flagger.runtime.observe import call_hooks, observe
from flagger.runtime.perform import perform
from flagger.runtime.prepare import prepare
from flagger.runtime.reject import reject
from flagger.runtime.snapshot import View, view
from flagger.runtime.world import World
from flagger.workloads.base import SupersededError, TargetError

log = structlog.get_logger(__name__)

Forget = Callable[[str], None]


class Advance:
    """Runs the ticks. Keeps nothing that matters: a restart resumes from the Canary's status.

    `waits` maps the keys of Canaries to what their last tick waits for.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._reasons: dict[str, str] = {}
        self.waits: dict[str, Wait] = {}

    async def __call__(self, key: str) -> float | None:
        """One tick; returns the seconds until the next, or None when only a change can bring one."""
        namespace, _, name = key.partition("/")
        stored = await self._world.cluster.get(CANARY, namespace, name)
        if stored is None:
            self.forget(key)
            return None
        last = self._reasons.get(key, "")
        try:
            first = await view(self._world, stored, last)
        except FieldError as error:
            await reject(self._world, stored, error, told=last == str(error))
            self._reasons[key] = str(error)
            return None
        return await self._tick(key, first)

    def forget(self, key: str) -> None:
        """The Canary is gone."""
        self._reasons.pop(key, None)
        self.waits.pop(key, None)

    async def _tick(self, key: str, seen: View) -> float | None:
        world, last = self._world, self._reasons.get(key, "")
        begun = world.clock()
        try:
            if await prepare(world, seen):
                stored = await world.cluster.get(CANARY, seen.canary.namespace, seen.canary.name)
                seen = await view(world, stored or seen.stored, last)
            decision, facts = await conclude(world, seen)
            await self._act(seen, decision)
        except (RouteError, TargetError, SupersededError, KubeError) as error:
            return self._halted(key, seen, error)
        if facts.checks is not None:
            world.telemetry.ticked(seen.canary, (world.clock() - begun).total_seconds())
        return self._next(key, seen, decision)

    async def _act(self, seen: View, decision: Decision) -> None:
        """Effects, last hooks, status, announcements; a crash before the status repeats the tick."""
        world, canary = self._world, seen.canary
        for effect in decision.effects:
            await perform(world, seen, effect)
        told: tuple[Announcement, ...] = decision.told
        if decision.last_calls is not None:
            answers = await call_hooks(world, seen, decision.last_calls)
            told = (*told, *last_reports(answers, decision.last_calls.phase))
        await commit(world.cluster, seen.stored, canary, decision.status)
        announce(world.announcer, canary, (*told, *decision.told_last), seen.seen.phase)
        _measure(world, seen, decision)

    def _halted(self, key: str, seen: View, error: Exception) -> float:
        """Something refused to be read or written: say so and come again at the next interval."""
        text = str(error)
        announce(self._world.announcer, seen.canary, (Event(text, warning=True),), seen.seen.phase)
        log.info("tick halted", canary=seen.seen.name, reason=text)
        self._reasons[key] = text
        self.waits.pop(key, None)
        return self._interval(seen.canary)

    def _next(self, key: str, seen: View, decision: Decision) -> float | None:
        self._reasons[key] = decision.reason
        if decision.waits_for is None:
            self.waits.pop(key, None)
        else:
            self.waits[key] = decision.waits_for
        log.debug(
            "tick done", canary=seen.seen.name, phase=str(decision.status.phase), reason=decision.reason
        )
        snapshot = seen.seen
        rests = snapshot.canary.spec.suspend or snapshot.problems or snapshot.deleting
        moving = decision.status.phase in ACTIVE | INITIAL
        return self._interval(seen.canary) if moving and not rests else None

    def _interval(self, canary: Canary) -> float:
        return canary.interval(self._world.settings.analysis_interval_floor).total_seconds()


async def conclude(world: World, seen: View) -> tuple[Decision, Facts]:
    """Ask the core until it decides."""
    facts = Facts()
    while not isinstance(verdict := decide(seen.seen, facts), Decision):
        facts = await observe(world, seen, facts, verdict)
    return verdict, facts


def _measure(world: World, seen: View, decision: Decision) -> None:
    canary, split = seen.canary, seen.seen.split
    world.telemetry.phase(canary, decision.status.phase)
    if split is not None and not decision.effects:
        world.telemetry.split(canary, split)
    if decision.outcome is not None:
        world.telemetry.ended(canary, str(plan(seen.seen).strategy), decision.outcome)
