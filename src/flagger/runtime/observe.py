"""Answers what a decision must know: hooks are called, metrics asked."""

from __future__ import annotations

from typing import assert_never

from flagger.api.analysis import HookType
from flagger.api.canary import Canary
from flagger.api.phases import Phase
from flagger.notify.webhooks import payload_for
from flagger.rollout.facts import Analyse, Check, Facts, HookAnswer, HookCalls, Need, Probe, Verdict
from flagger.runtime.snapshot import View
from flagger.runtime.world import World


async def observe(world: World, view: View, facts: Facts, need: Need) -> Facts:
    """The facts with the answer to `need`."""
    match need:
        case HookCalls():
            return facts.with_hooks(need, await call_hooks(world, view, need))
        case Analyse():
            return facts.with_checks(await _analyse(world, view))
        case Probe():
            return facts.with_probe(tuple(await world.metrics.check_providers(view.canary)))
        case _:
            assert_never(need)


async def call_hooks(world: World, view: View, calls: HookCalls) -> tuple[HookAnswer, ...]:
    """Call the hooks of one type in list order.

    The round ends at the first refusal; that of rollback hooks at the first agreement.
    """
    answers: list[HookAnswer] = []
    ends_at = calls.type is HookType.ROLLBACK
    for hook in view.canary.spec.analysis.webhooks:
        if hook.kind is not calls.type:
            continue
        payload = payload_for(view.canary, calls.phase, hook.metadata)
        answer = await world.webhooks.call(hook, payload, run=run_id(view.canary))
        answers.append(HookAnswer(hook.name, answer.ok, answer.detail, hook.mute_alert))
        if answer.ok is ends_at:
            break
    return tuple(answers)


def run_id(canary: Canary) -> str:
    """Names the run for receivers that must not act twice: the Canary's identity and the run's number."""
    number = canary.status.run.number if canary.status.run else 0
    starting = canary.status.phase in {Phase.INITIALIZED, Phase.WAITING, Phase.SUCCEEDED, Phase.FAILED}
    return f"{canary.metadata.uid}/{number + 1 if starting else number}"


async def _analyse(world: World, view: View) -> tuple[Check, ...]:
    """The rollout hooks first, then the metrics; metrics are not asked after a refusal."""
    for answer in await call_hooks(world, view, HookCalls(HookType.ROLLOUT, Phase.PROGRESSING)):
        if not answer.ok:
            text = f"Halt {view.seen.name} advancement external check {answer.name} failed {answer.detail}"
            return (Check(answer.name, Verdict.FAIL, message=text),)
    results = await world.metrics.analyse(view.canary)
    for result in results:
        if result.value is not None:
            world.telemetry.checked(view.canary, result.name, result.value)
    return tuple(Check(result.name, result.verdict, result.value, result.message) for result in results)
