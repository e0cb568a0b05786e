"""What a Release says: where a Canary is now, and what became of its runs. Pure; `release.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_changes
from datetime import datetime
from itertools import chain

from msgspec.structs import replace

from flagger.api.gates import CONFIRMING, is_native, native_gate
from flagger.api.phases import ACTIVE, IDLE, Phase
from flagger.api.release import (
    RUNS_KEPT,
    ReleaseApproval,
    ReleaseCondition,
    ReleaseCurrent,
    ReleaseGate,
    ReleasePause,
    ReleaseRun,
    ReleaseStatus,
    RunAction,
)
from flagger.api.release_action import Action, ActionState
from flagger.api.status import CanaryStatus, RunRecord
from flagger.rollout.act import ActResult
from flagger.rollout.approvals import standing
from flagger.rollout.pins import current_run
from flagger.rollout.state import Decision, Snapshot
from flagger.rollout.waits import held

_RUNNING = ACTIVE - {Phase.WAITING}


def told(seen: Snapshot, decision: Decision, before: ReleaseStatus) -> ReleaseStatus:
    """What the Release says after a tick; the same as before when the tick changed nothing."""
    after = with_changes(seen, status=decision.status)
    generation = seen.canary.metadata.generation
    return ReleaseStatus(
        observed_generation=generation,
        current=_current(after, decision, before.current),
        runs=_runs(after, decision, before.runs)[:RUNS_KEPT],
        conditions=tuple(_conditions(after, decision, before, generation)),
    )


def _current(after: Snapshot, decision: Decision, before: ReleaseCurrent) -> ReleaseCurrent:
    status, hold = after.status, held(after)
    rests = status.phase in IDLE and before.phase == status.phase and not decision.results
    return ReleaseCurrent(
        phase=str(status.phase),
        run=current_run(after),
        revision=status.run.revision if status.run else "",
        weight=status.canary_weight,
        iterations=status.iterations,
        failed_checks=status.failed_checks,
        reason=before.reason if rests else decision.reason,  # at rest, how it came to rest says more
        pause=None
        if hold is None
        else ReleasePause(by=hold.by, reason=hold.reason, since=hold.since, until=hold.until),
        gates=tuple(_gates(after)),
    )


def _gates(after: Snapshot) -> Iterator[ReleaseGate]:
    for hook in after.canary.spec.analysis.webhooks:
        if hook.kind not in CONFIRMING:
            continue
        native = is_native(hook)
        yield ReleaseGate(
            name=hook.name,
            type=str(hook.kind),
            native=native,
            required=native_gate(hook.url).approvals if native and not after.problems else 0,
            approvals=tuple(
                ReleaseApproval(by=one.by, at=one.at)
                for one in (standing(after, hook) if not after.problems else ())
            ),
        )


def _runs(after: Snapshot, decision: Decision, before: tuple[ReleaseRun, ...]) -> tuple[ReleaseRun, ...]:
    record, status = after.status.run, after.status
    if record is None:
        return before
    known = {run.number: run for run in before}
    old = known.get(record.number, ReleaseRun(number=record.number))
    concerns_it = status.phase in _RUNNING or (status.phase in IDLE and old.result in ("", "running"))
    about = status.phase in _RUNNING or record.revision == status.last_applied_spec
    run = _followed(old, status, record) if concerns_it and (about or old.result == "running") else old
    run = replace(run, actions=_actions(run, record, decision.results, after.now))
    others = (_overtaken(other) for number, other in known.items() if number != record.number)
    return tuple(sorted((run, *others), key=lambda one: -one.number))


def _followed(run: ReleaseRun, status: CanaryStatus, record: RunRecord) -> ReleaseRun:
    result = _result(status, record)
    return replace(
        run,
        revision=record.revision,
        started=record.started,
        ended=None if result == "running" else status.last_transition_time,
        result=result,
        forced=bool(record.forced),
        failed_checks=max(run.failed_checks, status.failed_checks),
        weight=max(run.weight, status.canary_weight),
    )


def _result(status: CanaryStatus, record: RunRecord) -> str:
    if status.phase is Phase.SUCCEEDED:
        return "promoted" if status.last_promoted_spec == record.revision else "cancelled"
    if status.phase is Phase.FAILED:
        return "aborted" if any(act.action == Action.ABORT for act in record.acts) else "failed"
    return "running"


def _overtaken(run: ReleaseRun) -> ReleaseRun:
    """A run that was under way when another began has been restarted."""
    return replace(run, result="superseded") if run.result == "running" else run


def _actions(
    run: ReleaseRun, record: RunRecord, results: tuple[ActResult, ...], now: datetime
) -> tuple[RunAction, ...]:
    """What people wanted in a run: what took effect, from its record, and what did not, from this tick."""
    done = (
        RunAction(
            id=act.uid,
            action=act.action,
            by=act.by,
            reason=act.reason,
            gate=act.gate,
            via=act.via,
            at=act.at,
            state=str(ActionState.APPLIED),
            code=f"{ActionState.APPLIED}.{act.code}",
            message=act.message,
        )
        for act in record.acts
    )
    others = (_tried(result, now) for result in results if result.answer.state is not ActionState.PENDING)
    found: dict[str, RunAction] = {}
    for action in chain(run.actions, done, others):
        found.setdefault(action.id, action)
    return tuple(found.values())[-RUNS_KEPT:]


def _tried(result: ActResult, now: datetime) -> RunAction:
    spec, verdict = result.act.spec, result.answer
    return RunAction(
        id=result.act.uid,
        action=str(spec.action),
        by=spec.who,
        reason=spec.why,
        gate=spec.gate,
        via=spec.via,
        at=now,
        state=str(verdict.state),
        code=verdict.name,
        message=verdict.message,
    )


def _conditions(
    after: Snapshot, decision: Decision, before: ReleaseStatus, generation: int
) -> Iterator[ReleaseCondition]:
    phase = after.status.phase
    holds = {
        "Ready": phase in (Phase.INITIALIZED, Phase.SUCCEEDED),
        "Progressing": phase in ACTIVE,
        "Paused": held(after) is not None,
        "Degraded": phase is Phase.FAILED,
    }
    known = {condition.type: condition for condition in before.conditions}
    for kind, holding in holds.items():
        status, old = str(holding), known.get(kind)
        since = old.last_transition_time if old and old.status == status else after.now
        yield ReleaseCondition(
            type=kind,
            status=status,
            reason=str(phase) or "Initializing",
            observed_generation=generation,
            last_transition_time=since,
        )
