"""What people want done meets what the release is doing: the table of act and phase.

`heard` goes through the acts that wait, before any rule: what only has to be remembered (a pause, an approval)
goes into the status that the rules then see, what takes a whole tick becomes `Snapshot.order`, which a rule
carries out. An act takes effect once: what took effect is part of the same status as its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from flagger.api.analysis import HookType
from flagger.api.names import HOLD
from flagger.api.phases import INITIAL, Phase
from flagger.api.release_action import Action, ActionState, Identity, action_problems
from flagger.api.status import ActRecord, CanaryStatus, Hold
from flagger.rollout import endings, record
from flagger.rollout.act import Act, ActResult, Answer, Order, applied, pending, refused, superseded
from flagger.rollout.facts import Facts, Permission, Permit
from flagger.rollout.gate_keys import Opened, approve
from flagger.rollout.guards import ANALYSING
from flagger.rollout.pins import misplaced
from flagger.rollout.plan import plan
from flagger.rollout.state import Alert, Announcement, Decision, Event, Severity, Snapshot
from flagger.rollout.strategies import at_limit
from flagger.rollout.waits import PAUSE, found_closed, held, over

ACTS_KEPT = 20
NO_EFFECT = "NoEffect"


class Stage(Enum):
    """The columns of the table."""

    INITIALIZING = "initializing"
    IDLE = "idle"
    WAITING = "waiting"
    PROGRESSING = "progressing"
    AT_GATE = "waiting for promotion"
    PROMOTING = "promoting"
    FAILED = "failed"


_STAGES: Mapping[Phase, Stage] = {
    **dict.fromkeys(INITIAL, Stage.INITIALIZING),
    Phase.INITIALIZED: Stage.IDLE,
    Phase.SUCCEEDED: Stage.IDLE,
    Phase.WAITING: Stage.WAITING,
    Phase.PROGRESSING: Stage.PROGRESSING,
    Phase.WAITING_PROMOTION: Stage.AT_GATE,
    Phase.PROMOTING: Stage.PROMOTING,
    Phase.FINALISING: Stage.PROMOTING,
    Phase.FAILED: Stage.FAILED,
}


class Carry(Enum):
    """The act takes this tick."""

    OUT = "out"


@dataclass(frozen=True, slots=True)
class Noted:
    """The act takes effect in the status; `told` says so."""

    status: CanaryStatus
    answer: Answer
    told: tuple[Announcement, ...] = ()


Cell = Callable[[Snapshot, Act], Answer | Noted | Carry]


def _says(answer: Answer) -> Cell:
    return lambda _, __: answer


def _out(_: Snapshot, __: Act) -> Carry:
    return Carry.OUT


def _pause(seen: Snapshot, act: Act) -> Answer | Noted:
    until = act.spec.until
    if until is not None and until <= seen.now:
        return refused("Invalid", "spec.until: has passed; name a later time")
    hold = Hold(by=act.spec.who, reason=act.spec.why, since=seen.now, until=until)
    waiting = seen.status.run.waiting if seen.status.run else ""
    known = "" if waiting.startswith(f"{PAUSE}@") else waiting  # a pause that was told before is another one
    status = record.noted(seen.status, hold=hold, waiting=known)
    return Noted(status, applied("Paused", f"paused {act.says}"), (Event(f"paused {act.says}"),))


def _resume(seen: Snapshot, act: Act) -> Answer | Noted:
    run = seen.status.run
    still = f"the annotation {HOLD} pauses it: remove it where it is set" if seen.hold else ""
    if run is None or run.hold is None:
        return refused("Held", still) if still else applied(NO_EFFECT, "it is not paused")
    message = f"resumed {act.says}" + (f"; {still}" if still else "")
    status = record.noted(seen.status, hold=None)
    return Noted(status, applied("Resumed", message), (Event(f"resumed {act.says}"),))


def _approve(kinds: tuple[HookType, ...], seen: Snapshot, act: Act) -> Answer | Noted:
    verdict = approve(seen, act, kinds)
    if not isinstance(verdict, Opened):
        return verdict
    approvals = (*(seen.status.run.approvals if seen.status.run else ()), *verdict.approvals)
    told = tuple(Event(f"approved gate {one.gate} {act.says}") for one in verdict.approvals)
    return Noted(record.noted(seen.status, approvals=approvals), verdict.answer, told)


def _step(seen: Snapshot, act: Act) -> Answer | Carry:
    unrecorded = seen.split is not None and seen.split.canary > seen.status.canary_weight  # before a crash
    if at_limit(seen, plan(seen)) and not unrecorded:
        return refused("AtLimit", "no step is left; only the promotion is")
    if act.spec.pin.weight not in (None, seen.status.canary_weight):
        return superseded("Moved", f"the weight is {seen.status.canary_weight}, not {act.spec.pin.weight}")
    return Carry.OUT


def _retry(seen: Snapshot, _: Act) -> Answer | Carry:
    revision = seen.target.revision if seen.target else ""
    if revision == seen.status.last_promoted_spec:
        return refused("Reverted", "the target holds the promoted revision: there is nothing to retry")
    if revision != seen.status.last_applied_spec:
        return superseded("Moved", "the target has changed, and its new revision starts by itself")
    return Carry.OUT


def _at_gate(seen: Snapshot, _: Act) -> Answer:
    hooks = seen.canary.spec.analysis.webhooks
    gates = [PAUSE] if held(seen) else [h.name for h in hooks if h.kind is HookType.CONFIRM_PROMOTION]
    return refused("AtGate", f"the analysis is done; gate {', '.join(gates)} decides about the promotion")


_SETTING_UP = _says(refused("Initializing", "the primary is still being set up"))
_NO_RUN = _says(refused("NoRun", "there is no run"))
_OVER = _says(refused("Over", "the run is over"))
_TOO_EARLY = _says(refused("NotStarted", "the run has not started: approve it first"))
_TOO_LATE = "past the point of no return: the primary gets the new revision"
_RUNS = _says(refused("Running", "the run is not over"))
_UNKEPT = _says(refused("NotKept", "no previous revision is kept: revert the target (in Git), or push a fix"))
_PROMOTING = _says(applied(NO_EFFECT, "already promoting"))

TABLE: Mapping[Order, Mapping[Stage, Cell]] = {
    Order.APPROVE: {
        Stage.INITIALIZING: _SETTING_UP,
        Stage.IDLE: _NO_RUN,
        Stage.WAITING: partial(_approve, (HookType.CONFIRM_ROLLOUT,)),
        Stage.PROGRESSING: partial(_approve, (HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)),
        Stage.AT_GATE: partial(_approve, (HookType.CONFIRM_PROMOTION,)),
        Stage.PROMOTING: _PROMOTING,
        Stage.FAILED: _OVER,
    },
    Order.ABORT: {
        Stage.INITIALIZING: _says(
            refused("Initializing", "the primary is still being set up: delete the Canary instead")
        ),
        Stage.IDLE: _NO_RUN,
        Stage.WAITING: _out,
        Stage.PROGRESSING: _out,
        Stage.AT_GATE: _out,
        Stage.PROMOTING: _says(refused("TooLate", f"{_TOO_LATE}; revert the target, or push a fix")),
        Stage.FAILED: _says(applied(NO_EFFECT, "the run has failed already")),
    },
    Order.ABORT_TO_PREVIOUS: dict.fromkeys(Stage, _UNKEPT),
    Order.PAUSE: {
        **dict.fromkeys(Stage, _pause),
        Stage.INITIALIZING: _SETTING_UP,
        Stage.PROMOTING: _says(refused("TooLate", _TOO_LATE)),
    },
    Order.RESUME: dict.fromkeys(Stage, _resume),
    Order.PROMOTE: {
        Stage.INITIALIZING: _SETTING_UP,
        Stage.IDLE: _NO_RUN,
        Stage.WAITING: _TOO_EARLY,
        Stage.PROGRESSING: _out,
        Stage.AT_GATE: _at_gate,
        Stage.PROMOTING: _PROMOTING,
        Stage.FAILED: _says(refused("Over", "the run is over: use retry")),
    },
    Order.STEP: {
        Stage.INITIALIZING: _SETTING_UP,
        Stage.IDLE: _NO_RUN,
        Stage.WAITING: _TOO_EARLY,
        Stage.PROGRESSING: _step,
        Stage.AT_GATE: _at_gate,
        Stage.PROMOTING: _says(refused("TooLate", _TOO_LATE)),
        Stage.FAILED: _OVER,
    },
    Order.RETRY: {
        **dict.fromkeys(Stage, _RUNS),
        Stage.INITIALIZING: _SETTING_UP,
        Stage.IDLE: _says(refused("NotFailed", "the last run has not failed")),
        Stage.FAILED: _retry,
    },
}
"""What each act means in each phase."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The snapshot with what was noted and ordered, and what became of the acts so far."""

    seen: Snapshot
    results: tuple[ActResult, ...] = ()
    told: tuple[Announcement, ...] = ()

    def concluded(self, decision: Decision) -> Decision:
        """The decision of the rules with what became of all acts; what took effect is remembered."""
        results = (*self.results, *decision.results)
        order = self.seen.order
        if order is not None and all(result.act.uid != order.uid for result in results):
            results = (*results, ActResult(order, pending("Waits", decision.reason)))
        status = _remembered(self.seen, decision.status, results)
        return replace(decision.after(*self.told).with_status(status), results=results)


def heard(seen: Snapshot, facts: Facts) -> Permit | Hearing:
    """Go through the acts: aborts first, otherwise the oldest first."""
    hearing = _lapsed(Hearing(seen))
    for act in sorted(seen.acts, key=lambda act: (act.order is not Order.ABORT, act.created, act.uid)):
        verdict = _verdict(hearing.seen, facts, act)
        if isinstance(verdict, Permit):
            return verdict
        hearing = _with(hearing, act, verdict)
    return hearing


def aborted(seen: Snapshot, _: Facts) -> Decision | None:
    """A run that somebody aborts goes back; a candidate that waits is dropped, and nothing was scaled."""
    act = seen.order
    if act is None or act.order is not Order.ABORT:
        return None
    text = f"Rolling back {seen.name} aborted {act.says}"
    told = (Event(text, warning=True), Alert(f"Rolling back aborted {act.says}", Severity.WARN))
    if seen.phase is Phase.WAITING and seen.target is not None:
        status = record.candidate_refused(seen, seen.target.revision)
        decision = Decision(reason=text, status=status, told=told)
    else:
        decision = endings.rollback(seen, text, *told)
    code = "Rejected" if act.spec.gate else "Aborted"
    return replace(decision, results=(ActResult(act, applied(code, f"aborted {act.says}")),))


def not_due(seen: Snapshot, _: Facts) -> Decision | None:
    """A tick that an act brings before its time moves only what a closed gate, or an order, has kept waiting."""
    moving = seen.phase is Phase.PROMOTING or (seen.phase in ANALYSING and not found_closed(seen))
    if not seen.early or seen.order is not None or not moving:
        return None
    return Decision(reason=seen.last_reason or "the next step is not due yet", status=seen.status)


def _lapsed(hearing: Hearing) -> Hearing:
    """A pause that has ended by itself is forgotten."""
    seen = hearing.seen
    hold = seen.status.run.hold if seen.status.run else None
    if hold is None or not over(seen, hold) or seen.canary.spec.suspend or seen.deleting:
        return hearing
    status = record.noted(seen.status, hold=None)
    return Hearing(replace(seen, status=status), told=(Event(f"resumed: the pause by {hold.by} has ended"),))


def _verdict(seen: Snapshot, facts: Facts, act: Act) -> Permit | Answer | Noted | Carry | ActRecord:
    known = next(
        (one for one in (seen.status.run.acts if seen.status.run else ()) if one.uid == act.uid), None
    )
    if known is not None:
        return Carry.OUT if act.order is Order.RETRY and record.half_started(seen.status) else known
    answer = _stopped(seen, act) or misplaced(seen, act)
    if answer is not None:
        return answer
    if seen.order is not None and seen.order.order is Order.ABORT and act.spec.action in _OF_A_RUN:
        return superseded("Aborted", f"the run was aborted {seen.order.says}")
    verdict = TABLE[act.order][_STAGES[seen.phase]](seen, act)
    if isinstance(verdict, Answer) or act.identity is not Identity.VERIFIED:
        return verdict
    return _permitted(seen, facts, act) or verdict


_OF_A_RUN = frozenset({Action.APPROVE, Action.PROMOTE})


def _stopped(seen: Snapshot, act: Act) -> Answer | None:
    """What stands against an act whatever the phase is."""
    if act.objection is not None:
        return refused(*act.objection)
    problem = next(action_problems(act.spec), None)
    if problem is not None:
        return refused("Invalid", str(problem))
    if seen.now >= act.expires:
        return Answer(ActionState.EXPIRED, "TooLate", f"not applied in time{_because(act)}")
    if seen.deleting:
        return refused("Terminating", "the Canary is being deleted")
    if seen.canary.spec.suspend and act.order is not Order.RESUME:
        return refused("Frozen", "frozen by spec.suspend: guardrails are off")
    waits = str(seen.problems[0]) if seen.problems else seen.trouble
    return pending("Waits", waits) if waits and not seen.canary.spec.suspend else None


def _because(act: Act) -> str:
    return f": {act.pending}" if act.pending else ""


def _permitted(seen: Snapshot, facts: Facts, act: Act) -> Permit | Answer | None:
    """Whether who asks may do it now; None means yes. Who paused may resume by the right to pause."""
    verb = "override" if act.spec.override else str(act.spec.action)
    hold = seen.status.run.hold if seen.status.run else None
    own = act.order is Order.RESUME and hold is not None and hold.by == act.spec.who
    asked = Permit(act.uid, (verb, "pause") if own else (verb,))
    answer: Permission | None = facts.permissions.get(asked)
    if answer is None:
        return asked
    if answer.trouble:
        return pending("Unknown", f"it can't be told whether {act.spec.who} may {verb}: {answer.trouble}")
    if answer.allowed:
        return None
    return refused("Forbidden", f"{act.spec.who} lacks the verb {verb} on canaries.flagger.app")


def _with(hearing: Hearing, act: Act, verdict: Answer | Noted | Carry | ActRecord) -> Hearing:
    seen, results, told = hearing.seen, hearing.results, hearing.told
    match verdict:
        case ActRecord():
            before = Answer(ActionState.APPLIED, verdict.code, verdict.message)
            return replace(hearing, results=(*results, ActResult(act, before, again=True)))
        case Carry():
            return hearing if seen.order else replace(hearing, seen=replace(seen, order=act))
        case Noted():
            noted = replace(seen, status=verdict.status)
            return Hearing(noted, (*results, ActResult(act, verdict.answer)), (*told, *verdict.told))
        case Answer():
            return replace(
                hearing, results=(*results, ActResult(act, verdict)), told=(*told, *_news(act, verdict))
            )


def _news(act: Act, answer: Answer) -> tuple[Event, ...]:
    if answer.state is ActionState.PENDING:
        return ()
    what = "ignored" if answer.code == NO_EFFECT else str(answer.state).lower()
    warning = answer.state is ActionState.REFUSED
    return (Event(f"{what}: {act.order.value} {act.says}: {answer.message}", warning=warning),)


def _remembered(seen: Snapshot, status: CanaryStatus, results: tuple[ActResult, ...]) -> CanaryStatus:
    """The status that knows of the acts that took effect."""
    fresh = tuple(
        ActRecord(
            uid=result.act.uid,
            action=str(result.act.spec.action),
            by=result.act.spec.who,
            reason=result.act.spec.why,
            gate=result.act.spec.gate,
            via=result.act.spec.via,
            at=seen.now,
            code=result.answer.code,
            message=result.answer.message,
        )
        for result in results
        if result.answer.state is ActionState.APPLIED and result.answer.code != NO_EFFECT and not result.again
    )
    known = status.run.acts if status.run else ()
    return record.noted(status, acts=(*known, *fresh)[-ACTS_KEPT:]) if fresh else status
