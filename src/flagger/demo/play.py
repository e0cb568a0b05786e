"""The play: a good release that is promoted, then a bad one that comes back, under user traffic all the while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flagger.demo import processes
from flagger.demo.figures import Figures, figures_of
from flagger.demo.narrator import Narrator, log_hint
from flagger.demo.release import push
from flagger.demo.scene import GATEWAY, HOST, NAME, NAMESPACE_NAME, apply, entrance
from flagger.demo.story import Story
from flagger.demo.traffic import Users
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.kubeconfig import load_connection
from flagger.metrics.base import Backend
from flagger.metrics.providers.prometheus import Prometheus
from flagger.outbound import Outbound

INITIALIZED_WITHIN, PROMOTED_WITHIN, ROLLED_BACK_WITHIN = 20.0, 40.0, 30.0  # seconds: hard stops
NOTICED_WITHIN = 5.0  # seconds
SETTLE = 1.0  # seconds in which late answers of an act are still counted for it
FAIL_EVERY = 4
FIRST, GOOD, BAD = "6.7.0", "6.7.1", "6.8.0"

_OK, _FAILED_TO_START, _WRONG_OUTCOME = 0, 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to play: `interval` is the time between two ticks, `keep` leaves everything running at the end."""

    state_dir: Path
    engine: str = "builtin"
    interval: str = "2s"
    keep: bool = False


@dataclass(slots=True)
class Theatre:
    """Everything an act needs."""

    client: Client
    story: Story
    users: Users
    narrator: Narrator
    metrics: Prometheus
    last: tuple[Figures, Figures] = (Figures(), Figures())


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is released and how that must end; times are hard stops in seconds."""

    number: int
    title: str
    tag: str
    fail_every: int = 0
    outcome: str
    verb: str
    within: float


ACTS = (
    Act(
        number=1,
        title=f"a good release, {NAME}:{FIRST} -> {NAME}:{GOOD}",
        tag=GOOD,
        outcome="Succeeded",
        verb="promoted",
        within=PROMOTED_WITHIN,
    ),
    Act(
        number=2,
        title=f"a bad release, {NAME}:{GOOD} -> {NAME}:{BAD} (every fourth request fails)",
        tag=BAD,
        fail_every=FAIL_EVERY,
        outcome="Failed",
        verb="rolled back",
        within=ROLLED_BACK_WITHIN,
    ),
)


async def play(options: Options, narrator: Narrator) -> int:
    """Play both acts; returns the exit code: 0 only if both end right and no user saw an avoidable error."""
    begun = time.monotonic()
    narrator.begin(options.engine)
    kept = False
    try:
        stage = await processes.start(options.state_dir, options.engine, floor="1s")
        narrator.done("sandbox", f"ready, api={stage.record.api} kubeconfig={stage.record.kubeconfig}")
        narrator.done("operator", "ready, provider=gatewayapi:v1 analysis-interval-floor=1s")
        code, lines = await _perform(options, stage, narrator)
        kept = options.keep and code == _OK
    except processes.StartError as error:
        code, lines = _FAILED_TO_START, [str(error), f"demo: FAIL; {log_hint(options.state_dir)}"]
    finally:
        if not kept:
            await asyncio.shield(processes.stop(options.state_dir))
    if code == _OK:
        lines.append(f"demo: PASS in {time.monotonic() - begun:.1f}s")
    narrator.end(lines)
    return code


async def _perform(options: Options, stage: processes.Stage, narrator: Narrator) -> tuple[int, list[str]]:
    async with _theatre(options, stage, narrator) as theatre:
        if theatre is None:
            text = f"demo: FAIL, shop/checkout was not initialized within {INITIALIZED_WITHIN:.0f} s"
            return _WRONG_OUTCOME, [f"{text}; {log_hint(options.state_dir)}"]
        for act in ACTS:
            if not await _act(theatre, act):
                ended = theatre.story.state.phase
                text = f"demo: FAIL, act {act.number}/2 ended {ended}, expected {act.outcome}"
                return _WRONG_OUTCOME, [f"{text}; {log_hint(options.state_dir)}"]
        return _summary(options, theatre)


@asynccontextmanager
async def _theatre(
    options: Options, stage: processes.Stage, narrator: Narrator
) -> AsyncIterator[Theatre | None]:
    """Set the stage and let the users in; gives None when the release doesn't get ready."""
    connection = load_connection(Path(stage.record.kubeconfig))
    async with Client(connection) as client, Cluster(client) as cluster, Outbound() as outbound:
        story = Story(narrator.event)
        narrator.done("apply", " ".join(await apply(client, options.interval)))
        story.follow(cluster)
        ready = await story.until(lambda state: state.phase == "Initialized", INITIALIZED_WITHIN)
        url = await _entrance(client) if ready else None
        if url is None:
            yield None
            return
        users = Users(url, HOST)
        metrics = Prometheus(Backend(outbound, stage.record.metrics))
        theatre = Theatre(client, story, users, narrator, metrics)
        narrator.done("users", f"{users.rate:.0f} requests/s to {url}")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(users.run()), group.create_task(_show_figures(theatre))]
            try:
                yield theatre
            finally:
                for task in tasks:
                    task.cancel()


async def _entrance(client: Client) -> str | None:
    for _ in range(50):
        url = entrance(await client.get(GATEWAY, "public", NAMESPACE_NAME))
        if url is not None:
            return url
        await asyncio.sleep(0.1)
    return None


async def _show_figures(theatre: Theatre) -> None:
    """Look at the verdict's inputs twice a second; keep the last with traffic on both sides."""
    while True:
        primary, canary = await asyncio.gather(
            figures_of(theatre.metrics, NAMESPACE_NAME, f"{NAME}-primary"),
            figures_of(theatre.metrics, NAMESPACE_NAME, NAME),
        )
        if canary.success_rate is not None:
            theatre.last = (primary, canary)
        theatre.narrator.figures(theatre.story.state, theatre.users, primary, canary)
        await asyncio.sleep(0.5)


async def _act(theatre: Theatre, act: Act) -> bool:
    """Release, wait for the end, tell how it went."""
    story, users = theatre.story, theatre.users
    theatre.narrator.act(act.number, act.title)
    story.new_act()
    users.new_act()
    theatre.last = (Figures(), Figures())
    begun = time.monotonic()
    await push(theatre.client, NAMESPACE_NAME, NAME, act.tag, fail_every=act.fail_every)
    noticed = await story.until(lambda state: state.phase == "Progressing", NOTICED_WITHIN)
    detected = time.monotonic() - begun
    ended = noticed and await story.until(lambda state: state.phase in {"Succeeded", "Failed"}, act.within)
    took, loop_time = time.monotonic() - begun, asyncio.get_running_loop().time()
    await asyncio.sleep(SETTLE)
    right = ended and story.state.phase == act.outcome
    weights = " -> ".join(f"{weight}%" for weight in story.weights)
    details = [
        f"noticed after {detected:.1f} s; weights {weights}",
        f"primary  {theatre.last[0]}",
        f"canary   {theatre.last[1]}; limits: success rate min 99 %, p99 max 500 ms",
        f"users    {users.act.answered} requests answered, {users.act.failed} failed",
    ]
    if act.fail_every and users.act.first_failure is not None:
        exposed = loop_time - users.act.first_failure
        share = users.act.failed / max(1, users.act.answered)
        everybody = users.rate * exposed / act.fail_every
        details.append(
            f"from the first failed request to the rollback: {exposed:.1f} s, {share:.1%} of requests failed; "
            f"a plain rolling update would have failed about {everybody:.0f} in that time"
        )
    theatre.narrator.result(right, f"{act.verb if right else story.state.phase} in {took:.1f} s", details)
    return right


def _summary(options: Options, theatre: Theatre) -> tuple[int, list[str]]:
    total = theatre.users.total
    failed = f"{total.failed_by_canary} failed by the bad release, {total.failed_otherwise} failed otherwise"
    lines = [f"users: {total.answered} requests answered, {failed}"]
    if total.failed_otherwise:
        causes = ", ".join(f"{count} x {what}" for what, count in sorted(total.problems.items()))
        lines.append(f"demo: FAIL, users saw errors that the primary would not have made: {causes}")
        return _WRONG_OUTCOME, lines
    kubeconfig = options.state_dir / "kubeconfig"
    if options.keep:
        lines += [
            "The good release is live, the bad one is not. The sandbox is still running:",
            f"   see    export KUBECONFIG={kubeconfig}; kubectl get canaries -n shop -w",
            "   try    .venv/bin/flagger sandbox release checkout 6.7.2     ship something yourself",
            "   stop   make demo-down",
        ]
    lines.append(f"kubeconfig {kubeconfig}, {log_hint(options.state_dir)}")
    return _OK, lines
