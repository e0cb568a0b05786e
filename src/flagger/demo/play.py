"""The play: a good release that is promoted, then a bad one that comes back, under user traffic all the while."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from flagger.api.quantities import parse_duration
from flagger.demo import scene
from flagger.demo.acts import (
    ACTS,
    FAIL_EVERY,
    FIRST,
    NOT_STARTED,
    OK,
    WRONG_OUTCOME,
    Act,
    Ending,
    Look,
    Programme,
    Result,
)
from flagger.demo.figures import Both, figures
from flagger.demo.narrator import Narrator
from flagger.demo.processes import Crew
from flagger.demo.release import push
from flagger.demo.story import Story
from flagger.demo.traffic import Users
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KubeError
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import Object
from flagger.metrics.base import Backend
from flagger.metrics.providers.prometheus import Prometheus
from flagger.outbound import Outbound
from flagger.sandbox.daemon import StartError
from flagger.sandbox.state import Record

START_WITHIN = 35.0  # seconds that the start and the first release may take together
STAGE_WITHIN = 15.0  # seconds of these for the first release
NOTICED_WITHIN = 5.0  # seconds from a push to the operator's first move
SAID_WITHIN = 1.0  # seconds from the end of a run to the event that tells it
SUMMARY_WITHIN = 5.0  # seconds
LOOK_EVERY = 0.25  # seconds
ENOUGH_CORES = 2
PATIENCE = 3.0  # by how much the hard stops are stretched with fewer cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to play: `interval` is the time between two ticks, `keep` leaves everything running at the end.

    `fail_every` says how bad the bad release is; with 0 it is a good one, and the demo fails.
    """

    state_dir: Path
    engine: str = "builtin"
    interval: str = "2s"
    keep: bool = False
    fail_every: int = FAIL_EVERY

    @property
    def acts(self) -> Sequence[Act]:
        """What is played."""
        return [replace(act, fail_every=self.fail_every if act.fail_every else 0) for act in ACTS]

    @property
    def seconds(self) -> float:
        """The interval in seconds."""
        return parse_duration(self.interval).total_seconds()

    @property
    def patience(self) -> float:
        """What the hard stops are multiplied by on this machine."""
        return 1.0 if (os.cpu_count() or 1) >= ENOUGH_CORES else PATIENCE

    @property
    def budget(self) -> float:
        """The hard stops together, in seconds."""
        acts = sum(act.within(self.seconds) for act in ACTS)
        return self.patience * (START_WITHIN + acts + SUMMARY_WITHIN)


class SpoiltError(Exception):
    """The play can't begin; the text says why."""


@dataclass(slots=True)
class Theatre:
    """Everything an act needs; `judged` are the last figures that showed traffic on the canary."""

    options: Options
    client: Client
    story: Story
    users: Users
    narrator: Narrator
    metrics: Prometheus
    judged: Both = field(default_factory=Both)


async def play(options: Options, narrator: Narrator) -> int:
    """Play both acts; returns the exit code: 0 only if both end right and no user saw an avoidable error."""
    begun = time.monotonic()
    objects = scene.manifests(options.interval)
    programme = Programme(
        engine=options.engine,
        interval=options.interval,
        rules=scene.Rules.of(objects[-1]),
        budget=options.budget,
    )
    crew = Crew(options.state_dir, options.engine)
    ending = Ending(code=NOT_STARTED, state_dir=options.state_dir)
    narrator.begin(programme)
    try:
        ending = await _perform(options, objects, crew, narrator)
    except StartError as error:
        ending = replace(ending, problem=str(error))
    finally:
        kept = options.keep and ending.code != NOT_STARTED
        narrator.close()
        if not kept:
            await crew.dismiss()
    narrator.end(replace(ending, took=time.monotonic() - begun, kept=kept))
    return ending.code


async def _perform(options: Options, objects: list[Object], crew: Crew, narrator: Narrator) -> Ending:
    if remark := crew.look():
        narrator.note(remark)
    narrator.starting()
    record = await crew.start_sandbox()
    narrator.sandbox_up(record)
    await crew.start_operator(record)
    narrator.operator_up()
    try:
        async with _theatre(options, objects, record, narrator) as theatre:
            return await _acts(theatre)
    except (SpoiltError, KubeError) as error:
        return Ending(code=WRONG_OUTCOME, problem=str(error), state_dir=options.state_dir)


@asynccontextmanager
async def _theatre(
    options: Options, objects: list[Object], record: Record, narrator: Narrator
) -> AsyncIterator[Theatre]:
    """Set the stage and let the users in.

    Raises:
        SpoiltError: the release doesn't get ready.
    """
    connection = load_connection(Path(record.kubeconfig))
    limit = STAGE_WITHIN * options.patience
    async with Client(connection) as client, Cluster(client) as cluster, Outbound() as outbound:
        story = Story(narrator.event)
        narrator.applied(await scene.apply(client, objects))
        story.follow(cluster)
        if not await story.until(lambda: story.initialized, limit):
            heard = f": {story.chapter.told[-1]}" if story.chapter.told else ""
            raise SpoiltError(f"shop/checkout was not initialized within {limit:.0f} s{heard}")
        users = Users(await _entrance(client, limit), scene.HOST)
        narrator.ready(f"{scene.NAME}:{FIRST}", users)
        metrics = Prometheus(Backend(outbound, record.metrics))
        theatre = Theatre(options, client, story, users, narrator, metrics)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(users.run()), group.create_task(_keep_looking(theatre))]
            try:
                yield theatre
            finally:
                for task in tasks:
                    task.cancel()


async def _entrance(client: Client, seconds: float) -> str:
    """Where users enter, as soon as they are let in.

    Raises:
        SpoiltError: they are not.
    """
    try:
        async with asyncio.timeout(seconds):
            return await scene.way_in(client, scene.ENTRANCE, scene.HOST)
    except TimeoutError as error:
        raise SpoiltError(f"Gateway shop/public let nobody in within {seconds:.0f} s") from error


async def _keep_looking(theatre: Theatre) -> None:
    """Look at the verdict's inputs a few times a second; keep the last with traffic on both sides."""
    weight = 0
    while True:
        state, users = theatre.story.state, theatre.users
        if state.weight != weight:
            weight = state.weight
            users.new_step()
        seen = await figures(theatre.metrics)
        if seen.canary.success_rate is not None:
            theatre.judged = seen
        theatre.narrator.look(Look(state, users, seen))
        await asyncio.sleep(LOOK_EVERY)


async def _acts(theatre: Theatre) -> Ending:
    """Play all acts, or up to the first that ends otherwise than it must."""
    ending = Ending(code=WRONG_OUTCOME, state_dir=theatre.options.state_dir, users=theatre.users.total)
    detected = None
    for act in theatre.options.acts:
        try:
            result = await _act(theatre, act)
        except KubeError as error:
            return replace(ending, problem=str(error))
        theatre.narrator.result(result)
        if result.phase != act.outcome:
            text = f"act {act.number}/{len(ACTS)} ended {result.phase}, expected {act.outcome}"
            return replace(ending, problem=text)
        if result.problem:
            text = (
                f"users saw errors in act {act.number} that the primary would not have made: {result.problem}"
            )
            return replace(ending, problem=text)
        detected = result.detected
    return replace(ending, code=OK, detected=detected)


async def _act(theatre: Theatre, act: Act) -> Result:
    """Release, wait for the end, and see how it went."""
    story, users, options = theatre.story, theatre.users, theatre.options
    theatre.narrator.act(act)
    story.new_chapter()
    users.new_act()
    theatre.judged = Both()
    clock = asyncio.get_running_loop().time
    begun = clock()
    await push(theatre.client, scene.NAMESPACE_NAME, scene.NAME, act.tag, fail_every=act.fail_every)
    await story.until(lambda: story.state.phase == "Progressing", NOTICED_WITHIN * options.patience)
    noticed = clock()
    within = act.within(options.seconds) * options.patience
    await story.until(lambda: story.over, within - (noticed - begun))
    ended, figures_then = clock(), theatre.judged
    await users.settled()
    await story.until(lambda: story.last_word, SAID_WITHIN)
    return Result(
        act=act,
        phase=story.state.phase,
        took=ended - begun,
        noticed=noticed - begun,
        detected=_between(users.act.first_failure, story.chapter.first_halt),
        exposed=_between(users.act.first_failure, ended),
        weights=tuple(story.chapter.weights),
        failed_checks=len(story.chapter.halts),
        users=users.act,
        rate=users.rate,
        figures=figures_then,
        why=story.chapter.why,
    )


def _between(first: float | None, last: float | None) -> float | None:
    return None if first is None or last is None else max(0.0, last - first)
