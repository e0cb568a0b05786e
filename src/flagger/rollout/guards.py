"""What stops or ends a run before it may go on, in the order of `decide.RULES`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from flagger.api.phases import Phase, with_rejection
from flagger.rollout import endings, record
from flagger.rollout.effects import ResumeScaler, ScaleUp, SetSplit
from flagger.rollout.facts import Facts, Need
from flagger.rollout.gates import rollback_request
from flagger.rollout.plan import plan
from flagger.rollout.revision import configs_changed
from flagger.rollout.state import AWAY, HOME, Alert, Decision, Event, Severity, Snapshot, Wait

ANALYSING = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
PROMOTING = frozenset({Phase.PROMOTING, Phase.FINALISING})


def frozen(seen: Snapshot, _: Facts) -> Decision | None:
    """A suspended Canary is not touched; it says so once."""
    if not seen.canary.spec.suspend:
        return None
    return _stop(seen, "skipping canary run as object is suspended", warning=False, once=True)


def terminating(seen: Snapshot, _: Facts) -> Decision | None:
    """A Canary that is being deleted starts and moves nothing."""
    return Decision(reason="the Canary is being deleted", status=seen.status) if seen.deleting else None


def invalid(seen: Snapshot, _: Facts) -> Decision | None:
    """A Canary with a faulty field waits and says which."""
    if not seen.problems:
        return None
    text = "; ".join(str(problem) for problem in seen.problems)
    conditions = with_rejection(seen.status.conditions, seen.problems[0], seen.now)
    return _stop(seen, text, once=True).with_status(replace(seen.status, conditions=conditions))


def troubled(seen: Snapshot, _: Facts) -> Decision | None:
    """Something that every tick needs is missing."""
    return _stop(seen, seen.trouble, wait=Wait.TARGET) if seen.trouble else None


def stranded(seen: Snapshot, _: Facts) -> Decision | None:
    """A failed run that left the traffic on the canary brings it home before anything else starts."""
    if seen.phase is not Phase.FAILED or seen.status.canary_weight != AWAY.canary:
        return None
    if seen.primary is None or not seen.primary.readiness.ready:
        reason = "the canary serves until the primary is ready again"
        return Decision(reason=reason, status=seen.status, waits_for=Wait.PRIMARY)
    return endings.homecoming(seen)


def primary_unready(seen: Snapshot, _: Facts) -> Decision | None:
    """Nothing advances over an unready primary; past its deadline, a run under way ends."""
    if seen.canary.skip_analysis and seen.phase not in PROMOTING:
        return None
    if seen.primary is None:
        return _stop(seen, f"{seen.primary_name} not ready: it does not exist", wait=Wait.PRIMARY)
    readiness = seen.primary.readiness
    if readiness.ready:
        return None
    if readiness.terminal and seen.phase in PROMOTING:
        return endings.failed_promotion(seen, readiness.message)
    if readiness.terminal and seen.phase in ANALYSING:
        return _deadline_exceeded(seen, readiness.message)
    return _stop(seen, readiness.message, wait=Wait.PRIMARY)


def unroutable(seen: Snapshot, _: Facts) -> Decision | None:
    """The split can't be read, or doesn't name both sides."""
    return None if seen.split is not None else _stop(seen, seen.split_trouble, wait=Wait.ROUTE)


def unsupported(seen: Snapshot, _: Facts) -> Decision | None:
    """A strategy that the router can't follow safely is refused before traffic moves."""
    refused = plan(seen).refused
    return _stop(seen, f"Halt {seen.name} advancement {refused}", once=True) if refused else None


def new_revision(seen: Snapshot, _: Facts) -> Decision | None:
    """A change of the target during an analysis starts over; going back to the promoted revision ends it."""
    if seen.phase not in ANALYSING or seen.target is None:
        return None
    revision, configs_differ = seen.target.revision, configs_changed(seen.status, seen.configs)
    same_target = revision == seen.status.last_applied_spec
    if same_target and not configs_differ:
        return None
    if revision == seen.status.last_promoted_spec and not same_target and not configs_differ:
        return endings.cancelled(seen, revision)
    text = f"New revision detected! Restarting analysis for {seen.target_name}"
    return Decision(
        reason=text,
        effects=(SetSplit(endings.refuge(seen)), *endings.undo(seen)),
        status=record.run_started(seen, revision),
        told=(Event(text),),
    )


def canary_unready(seen: Snapshot, _: Facts) -> Decision | None:
    """An analysis waits for a ready canary; past its deadline the run ends."""
    if seen.phase not in ANALYSING or seen.target is None or seen.target.readiness.ready:
        return None
    readiness = seen.target.readiness
    if readiness.terminal:
        return _deadline_exceeded(seen, readiness.message)
    return _stop(seen, readiness.message, wait=Wait.TARGET)


def promotion_lost(seen: Snapshot, _: Facts) -> Decision | None:
    """A promotion that was taken back, by somebody or by a tick that broke off, ends as a rollback."""
    runs = seen.primary.revision if seen.primary else ""
    if seen.phase not in PROMOTING or not runs or runs == seen.status.last_applied_spec:
        return None
    text = f"Rolling back {seen.name} the primary no longer runs what was promoted"
    return endings.rollback(seen, text, Event(text, warning=True), Alert(text, Severity.ERROR))


def canary_asleep(seen: Snapshot, _: Facts) -> Decision | None:
    """A run whose target has been scaled to zero, by a user or by a tick that broke off, wakes it again."""
    if seen.phase not in ANALYSING or seen.target is None or seen.target.replicas > 0:
        return None
    text = f"Scaling up {seen.target_name}, it was scaled to zero during its analysis"
    effects = (SetSplit(HOME), ResumeScaler(), ScaleUp())
    event = Event(text, warning=True)
    return Decision(reason=text, effects=effects, status=seen.status, told=(event,), waits_for=Wait.TARGET)


def skip_requested(seen: Snapshot, _: Facts) -> Decision | None:
    """A run whose analysis is to be skipped is promoted as soon as its canary is ready."""
    if not seen.canary.skip_analysis or seen.phase not in ANALYSING:
        return None
    return endings.skipped(seen)


def rollback_requested(seen: Snapshot, facts: Facts) -> Need | Decision | None:
    """A rollback hook that answers yes ends the run, or takes a waiting candidate away."""
    if seen.phase not in ANALYSING | {Phase.WAITING} or seen.target is None:
        return None
    request = rollback_request(seen, facts)
    if request is None or isinstance(request, Need):
        return request
    told = (
        Event(f"Rollback check {request.name} passed", warning=True),
        Event(f"Rolling back {seen.name} manual webhook invoked", warning=True),
        Alert("Rolling back manual webhook invoked", Severity.WARN),
    )
    if seen.phase is Phase.WAITING:
        status = record.candidate_refused(seen, seen.target.revision)
        return Decision(reason=told[1].text, status=status, told=told)
    return endings.rollback(seen, told[1].text, *told)


def too_many_failed_checks(seen: Snapshot, _: Facts) -> Decision | None:
    """The run ends in the tick after the one that reached the threshold."""
    failed = seen.status.failed_checks
    if seen.phase not in ANALYSING or failed < seen.canary.spec.analysis.failure_limit:
        return None
    text = f"Rolling back {seen.name} failed checks threshold reached {failed}"
    alert = Alert(f"Failed checks threshold reached {failed}", Severity.ERROR)
    return endings.rollback(seen, text, Event(text, warning=True), alert)


def _deadline_exceeded(seen: Snapshot, message: str) -> Decision:
    text = f"Rolling back {seen.name} progress deadline exceeded {message}"
    alert = Alert(f"Progress deadline exceeded {message}", Severity.ERROR)
    return endings.rollback(seen, text, Event(message, warning=True), Event(text, warning=True), alert)


def _stop(
    seen: Snapshot, text: str, *, warning: bool = True, once: bool = False, wait: Wait | None = None
) -> Decision:
    """End the tick with an event; `once` keeps quiet when the tick before ended the same way."""
    told: Sequence[Event] = () if once and seen.last_reason == text else (Event(text, warning=warning),)
    return Decision(reason=text, status=seen.status, told=tuple(told), waits_for=wait)
