"""What people want done meets what the release is doing.

`heard` goes through the acts that wait, before any rule: what only has to be remembered (a pause, an approval)
goes into the status that the rules then see, what takes a whole tick becomes `Snapshot.order`, which a rule
carries out. An act takes effect once: what took effect is part of the same status as its effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flagger.api.phases import Phase
from flagger.api.release_action import Action, ActionState, Identity, action_problems
from flagger.api.status import ActRecord, CanaryStatus
from flagger.rollout import endings, record
from flagger.rollout.act import Act, ActResult, Answer, Order, applied, pending, refused, superseded
from flagger.rollout.act_table import NO_EFFECT, Carry, Noted, meaning
from flagger.rollout.capacity import ANALYSING
from flagger.rollout.facts import Facts, Permission, Permit
from flagger.rollout.pins import misplaced
from flagger.rollout.state import Alert, Announcement, Decision, Event, Severity, Snapshot
from flagger.rollout.waits import found_closed, over

ACTS_KEPT = 20
NEXT = "Next"
"""Code of an order whose turn comes with the next tick, which needn't wait."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The snapshot with what was noted and ordered, and what became of the acts so far.

    `queued` are orders beyond the one that this tick may carry out.
    """

    seen: Snapshot
    results: tuple[ActResult, ...] = ()
    told: tuple[Announcement, ...] = ()
    queued: tuple[Act, ...] = ()

    def concluded(self, decision: Decision) -> Decision:
        """The decision of the rules with what became of all acts; what took effect is remembered."""
        results = (*self.results, *decision.results)
        order = self.seen.order
        waits = order is not None and all(result.act.uid != order.uid for result in results)
        if order is not None and waits:
            results = (*results, ActResult(order, pending("Waits", decision.reason)))
        turn = pending("Queued" if waits else NEXT, "another act is carried out first")
        results = (*results, *(ActResult(act, turn) for act in self.queued))
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
    verdict = meaning(seen, act)
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
            if seen.order is not None:
                return replace(hearing, queued=(*hearing.queued, act))
            return replace(hearing, seen=replace(seen, order=act))
        case Noted():
            noted = replace(seen, status=verdict.status)
            done = (*results, ActResult(act, verdict.answer))
            return replace(hearing, seen=noted, results=done, told=(*told, *verdict.told))
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
    known = status.run.acts if status.run else ()
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
        if result.answer.state is ActionState.APPLIED and result.answer.code != NO_EFFECT
        if all(one.uid != result.act.uid for one in known)
    )
    return record.noted(status, acts=(*known, *fresh)[-ACTS_KEPT:]) if fresh else status
