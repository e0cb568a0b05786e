"""What a run does while it must not move: a closed gate, or a pause, which is a gate named `pause`."""

from __future__ import annotations

from flagger.api.analysis import HookType
from flagger.api.phases import Phase
from flagger.api.status import Hold
from flagger.rollout import record
from flagger.rollout.approvals import position
from flagger.rollout.facts import HookAnswer
from flagger.rollout.gates import Gate
from flagger.rollout.state import Decision, Snapshot

PAUSE = "pause"
"""The gate that a pause closes."""


def held(seen: Snapshot) -> Hold | None:
    """The pause that is in force: that of the object itself, else that of an act until it ends."""
    if seen.hold is not None:
        return seen.hold
    hold = seen.status.run.hold if seen.status.run else None
    return hold if hold is not None and not over(seen, hold) else None


def over(seen: Snapshot, hold: Hold) -> bool:
    """Whether a pause has ended by itself."""
    return hold.until is not None and seen.now >= hold.until


def paused(kind: HookType) -> Gate:
    """The gate that a pause closes, where hooks of this type would be asked."""
    return Gate(kind, refusal=HookAnswer(PAUSE, ok=False))


def closure(seen: Snapshot, gate: str) -> str:
    """Names a gate that was found closed at this step of the run."""
    return f"{gate}@{position(seen.status)}"


def found_closed(seen: Snapshot) -> bool:
    """Whether nothing but a closed gate has kept the run from moving on."""
    waiting = seen.status.run.waiting if seen.status.run else ""
    at_this_step = waiting.rpartition("@")[2] == str(position(seen.status))
    return seen.phase is Phase.WAITING_PROMOTION or (bool(waiting) and at_this_step)


def for_traffic(seen: Snapshot, asked: Gate) -> Decision:
    """The weight stays; people are told when the gate is first found closed at this weight."""
    name = asked.refusal.name if asked.refusal else ""
    here = closure(seen, name)
    known = seen.status.run is not None and seen.status.run.waiting == here
    told = asked.told if known else (*asked.told, *asked.waiting(seen))
    status = seen.status if known else record.noted(seen.status, waiting=here)
    return Decision(reason=f"waiting for traffic increase approval {name}", status=status, told=told)


def for_promotion(seen: Snapshot, asked: Gate) -> Decision:
    """The run waits at its limit; people are told when the gate is first found closed."""
    reason = f"waiting for promotion approval {asked.refusal.name if asked.refusal else ''}"
    if seen.phase is Phase.WAITING_PROMOTION:
        return Decision(reason=reason, status=seen.status, told=asked.told)
    status = record.moved(seen, Phase.WAITING_PROMOTION)
    return Decision(reason=reason, status=status, told=(*asked.told, *asked.waiting(seen)))
