"""Which gates an approval opens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flagger.api.analysis import HookType, Webhook
from flagger.api.gates import gate_names, is_native, native_gate
from flagger.api.release_action import Scope
from flagger.api.status import Approval
from flagger.rollout.act import Act, Answer, applied, refused
from flagger.rollout.approvals import candidate, position, standing
from flagger.rollout.state import Snapshot
from flagger.rollout.waits import PAUSE


@dataclass(frozen=True, slots=True)
class Opened:
    """The approvals that an act gives, and what is said about them."""

    approvals: tuple[Approval, ...]
    answer: Answer


def approve(seen: Snapshot, act: Act, kinds: tuple[HookType, ...]) -> Opened | Answer:
    """Open the gate that an act names, or the only one that it can mean; `kinds` are those of this phase."""
    chosen = _chosen(seen, act, kinds)
    if isinstance(chosen, Answer):
        return chosen
    for hook in chosen:
        if not (is_native(hook) or act.spec.override):
            fix = "ask who runs it, or approve with override: true"
            return refused("ForeignGate", f"gate {hook.name} is decided by its hook; {fix}")
        if is_native(hook) and any(one.by == act.spec.who for one in standing(seen, hook)):
            return refused("Twice", f"{act.spec.who} has approved gate {hook.name} already")
    approvals = tuple(_approval(seen, act, hook) for hook in chosen)
    return Opened(approvals, _answer(seen, act, chosen))


def _chosen(seen: Snapshot, act: Act, kinds: tuple[HookType, ...]) -> tuple[Webhook, ...] | Answer:
    spec, hooks = act.spec, seen.canary.spec.analysis.webhooks
    if spec.gate == PAUSE:
        return refused("Paused", "a pause is ended by resume")
    if spec.scope is Scope.REMAINING_STEPS:
        kinds = tuple(kind for kind in kinds if kind is HookType.CONFIRM_TRAFFIC_INCREASE)
    here = tuple(hook for hook in hooks if hook.kind in kinds)
    if spec.gate:
        named = tuple(hook for hook in here if spec.gate in gate_names(hook))
        known = ", ".join(hook.name for hook in here) or "none"
        return named or refused("NoGate", f"no gate {spec.gate} is to be opened now; there are: {known}")
    for kind in kinds:
        meant = tuple(hook for hook in here if hook.kind is kind and (is_native(hook) or spec.override))
        if len(meant) > 1 and spec.scope is not Scope.REMAINING_STEPS:
            return refused("Ambiguous", f"name one of the gates {', '.join(hook.name for hook in meant)}")
        if meant:
            return meant
    return here[:1] or refused("NoGate", "no gate is to be opened now")


def _approval(seen: Snapshot, act: Act, hook: Webhook) -> Approval:
    one_step = hook.kind is HookType.CONFIRM_TRAFFIC_INCREASE and act.spec.scope is not Scope.REMAINING_STEPS
    return Approval(
        gate=hook.name,
        by=act.spec.who,
        revision=candidate(seen),
        at=seen.now,
        until=_until(seen, act, hook),
        weight=position(seen.status) if one_step and not act.spec.override else None,
        override=act.spec.override and not is_native(hook),
    )


def _until(seen: Snapshot, act: Act, hook: Webhook) -> datetime | None:
    lasts = native_gate(hook.url).expires if is_native(hook) else None
    ends = [time for time in (act.spec.until, seen.now + lasts if lasts else None) if time is not None]
    return min(ends, default=None)


def _answer(seen: Snapshot, act: Act, chosen: tuple[Webhook, ...]) -> Answer:
    names = ", ".join(hook.name for hook in chosen)
    for hook in chosen:
        needed = native_gate(hook.url).approvals if is_native(hook) else 1
        given = (*(one.by for one in standing(seen, hook)), act.spec.who)
        if len(given) < needed:
            text = f"{len(given)} of {needed} approvals of gate {hook.name} ({', '.join(given)})"
            return applied("Recorded", f"{text}; another person is needed")
    return applied("GateOpened", f"gate {names} opened")
