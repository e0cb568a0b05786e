"""What a tick tells the operator's own metrics."""

from __future__ import annotations

from datetime import timedelta

from flagger.api.phases import INITIAL
from flagger.rollout.effects import SetSplit
from flagger.rollout.plan import plan
from flagger.rollout.state import Decision, Snapshot
from flagger.runtime.telemetry import Telemetry


def measure(telemetry: Telemetry, seen: Snapshot, decision: Decision, lasted: timedelta) -> None:
    """Record what a tick saw and did.

    A Canary has no series before it is initialized; one that stands still keeps its last values.
    """
    canary, phase = seen.canary, decision.status.phase
    stands_still = canary.spec.suspend or seen.problems or seen.trouble or seen.deleting
    if phase in INITIAL or stands_still:
        return
    telemetry.phase(canary, phase)
    moves = [effect.split for effect in decision.effects if isinstance(effect, SetSplit)]
    split = moves[-1] if moves else seen.split
    if split is not None:
        telemetry.split(canary, split)
    if decision.examined:
        telemetry.ticked(canary, lasted.total_seconds())
    if decision.outcome is not None:
        telemetry.ended(canary, str(plan(seen).strategy), decision.outcome)
