"""Hooks as gates: which ones are asked, what their answers mean, and what is told about them."""

from __future__ import annotations

from dataclasses import dataclass

from flagger.api.analysis import HookType
from flagger.api.phases import Phase
from flagger.rollout.facts import Facts, HookAnswer, HookCalls
from flagger.rollout.state import Alert, Announcement, Event, Severity, Snapshot

_PASSED = {
    HookType.CONFIRM_ROLLOUT: "Confirm-rollout check {} passed",
    HookType.PRE_ROLLOUT: "Pre-rollout check {} passed",
    HookType.CONFIRM_TRAFFIC_INCREASE: "Confirm-traffic-increase check {} passed",
    HookType.CONFIRM_PROMOTION: "Confirm-promotion check {} passed",
    HookType.POST_ROLLOUT: "Post-rollout check {} passed",
}
_WAITING = {
    HookType.CONFIRM_ROLLOUT: ("approval", "Canary is waiting for approval"),
    HookType.CONFIRM_TRAFFIC_INCREASE: (
        "traffic increase approval",
        "Canary traffic increase is waiting for approval",
    ),
    HookType.CONFIRM_PROMOTION: ("promotion approval", "Canary promotion is waiting for approval"),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """The answers of one round of hooks.

    `told` are the events of those that agreed, `refusal` is the first that did not.
    """

    type: HookType
    told: tuple[Announcement, ...] = ()
    refusal: HookAnswer | None = None

    @property
    def open(self) -> bool:
        """Whether every hook agreed; a gate without hooks is open."""
        return self.refusal is None

    def waiting(self, seen: Snapshot) -> tuple[Announcement, ...]:
        """What is told when the gate is found closed for the first time."""
        if self.refusal is None:
            return ()
        what, alert = _WAITING[self.type]
        event = Event(f"Halt {seen.name} advancement waiting for {what} {self.refusal.name}", warning=True)
        return (event,) if self.refusal.muted else (event, Alert(alert, Severity.WARN))


def gate(seen: Snapshot, facts: Facts, kind: HookType, phase: Phase = Phase.PROGRESSING) -> HookCalls | Gate:
    """The state of the gate that hooks of one type make, or the calls to find out."""
    calls = HookCalls(kind, phase)
    answers = answered(seen, facts, calls)
    if answers is None:
        return calls
    refusal = next((answer for answer in answers if not answer.ok), None)
    return Gate(kind, tuple(Event(_PASSED[kind].format(a.name)) for a in answers if a.ok), refusal)


def answered(seen: Snapshot, facts: Facts, calls: HookCalls) -> tuple[HookAnswer, ...] | None:
    """The answers to a round of hooks; none are needed where the Canary has no hook of that type."""
    if not any(hook.kind == calls.type for hook in seen.canary.spec.analysis.webhooks):
        return ()
    return facts.hook_answers.get(calls)


def rollback_request(seen: Snapshot, facts: Facts) -> HookCalls | HookAnswer | None:
    """The rollback hook that agrees, None when none does, or the calls to find out."""
    calls = HookCalls(HookType.ROLLBACK, seen.phase)
    answers = answered(seen, facts, calls)
    if answers is None:
        return calls
    return next((answer for answer in answers if answer.ok), None)


def rollback_refusals(seen: Snapshot, facts: Facts) -> tuple[Event, ...]:
    """One event for each rollback hook that was asked and did not agree."""
    answers = facts.hook_answers.get(HookCalls(HookType.ROLLBACK, seen.phase), ())
    return tuple(
        Event(f"Rollback hook {answer.name} not signaling a rollback") for answer in answers if not answer.ok
    )


def last_reports(answers: tuple[HookAnswer, ...], phase: Phase) -> tuple[Event, ...]:
    """What is told about the hooks that were called at the end of a run."""
    return tuple(
        Event(_PASSED[HookType.POST_ROLLOUT].format(answer.name), phase=phase)
        if answer.ok
        else Event(f"Post-rollout hook {answer.name} failed {answer.detail}", warning=True, phase=phase)
        for answer in answers
    )
