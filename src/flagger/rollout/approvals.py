"""Who has opened which gate: approvals are kept with the run and count for one revision."""

from __future__ import annotations

from flagger.api.analysis import Webhook
from flagger.api.gates import is_native, native_gate
from flagger.api.phases import Phase
from flagger.api.status import Approval, CanaryStatus
from flagger.rollout.facts import HookAnswer
from flagger.rollout.state import Snapshot


def candidate(seen: Snapshot) -> str:
    """The revision that the current run, or the one that waits to start, is about."""
    waits = seen.phase is Phase.WAITING and seen.target is not None
    return seen.target.revision if waits and seen.target else seen.status.last_applied_spec


def position(status: CanaryStatus) -> int:
    """Which step a run has reached: its weight, or its iteration where it has no weights."""
    return status.canary_weight or status.iterations


def standing(seen: Snapshot, hook: Webhook) -> tuple[Approval, ...]:
    """The approvals of a gate that count now, the first of each person."""
    given = seen.status.run.approvals if seen.status.run else ()
    return tuple({one.by: one for one in reversed(given) if _counts(seen, hook, one)}.values())[::-1]


def own_answer(seen: Snapshot, hook: Webhook) -> HookAnswer | None:
    """The answer of a gate that people decide about; None for a hook that must be asked."""
    approvals = standing(seen, hook)
    if is_native(hook):
        needed = native_gate(hook.url).approvals
        detail = f"{len(approvals)} of {needed} approvals"
        return HookAnswer(hook.name, len(approvals) >= needed, detail, hook.mute_alert)
    return HookAnswer(hook.name, ok=True) if any(one.override for one in approvals) else None


def _counts(seen: Snapshot, hook: Webhook, approval: Approval) -> bool:
    return (
        approval.gate == hook.name
        and approval.revision == candidate(seen)
        and approval.weight in (None, position(seen.status))
        and (approval.until is None or seen.now < approval.until)
    )
