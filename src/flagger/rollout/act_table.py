"""The table of act and phase: what each act means for a release, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial

from flagger.api.analysis import HookType
from flagger.api.names import HOLD
from flagger.api.phases import INITIAL, Phase
from flagger.api.status import CanaryStatus, Hold
from flagger.rollout import record
from flagger.rollout.act import Act, Answer, Order, applied, refused, superseded
from flagger.rollout.gate_keys import Opened, approve
from flagger.rollout.plan import plan
from flagger.rollout.state import Announcement, Event, Snapshot
from flagger.rollout.strategies import at_limit
from flagger.rollout.waits import PAUSE, held

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


STAGES: Mapping[Phase, Stage] = {
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
"""The column of each phase; a Canary that is being deleted has none."""


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


def meaning(seen: Snapshot, act: Act) -> Answer | Noted | Carry:
    """What an act does now."""
    return TABLE[act.order][STAGES[seen.phase]](seen, act)
