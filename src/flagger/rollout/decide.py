"""The rollout decisions in their order. Pure: the same snapshot and facts always decide the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from flagger.api.phases import without_rejection
from flagger.rollout import guards, initialize, start, strategies
from flagger.rollout.affinity import with_cookies
from flagger.rollout.facts import Facts, Need
from flagger.rollout.gates import rollback_refusals
from flagger.rollout.state import Decision, Snapshot

Rule = Callable[[Snapshot, Facts], Need | Decision | None]

RULES: Sequence[Rule] = (
    guards.frozen,
    guards.terminating,
    guards.invalid,
    guards.troubled,
    initialize.bootstrap,
    guards.stranded,  # before anything new: traffic that a failed run left on the canary comes home first
    start.withdrawn,
    start.idle,
    guards.unsupported,
    guards.primary_unready,  # never start, restart or advance over a primary that can't serve
    guards.new_revision,  # before the canary's readiness, so that a broken canary can be fixed forward
    guards.rollback_requested,
    guards.canary_unready,
    guards.canary_asleep,
    guards.skip_requested,
    guards.too_many_failed_checks,
    guards.promotion_lost,
    strategies.finalise,
    guards.unroutable,  # after everything that only goes back: a rejected route must not hold up a rollback
    start.start,
    strategies.bring_home,
    strategies.advance,
)
"""The first rule that answers decides; a rule that doesn't apply answers None."""


def decide(seen: Snapshot, facts: Facts) -> Need | Decision:
    """What this tick does, or what it must know first.

    Called again with the answer until it is a Decision.
    """
    for rule in RULES:
        verdict = rule(seen, facts)
        if isinstance(verdict, Decision):
            return with_cookies(seen, _accepted(seen, verdict.after(*rollback_refusals(seen, facts))))
        if verdict is not None:
            return verdict
    raise AssertionError(f"no rule applies to phase {seen.phase!r}")


def _accepted(seen: Snapshot, decision: Decision) -> Decision:
    """A Canary without problems is no longer reported as rejected."""
    conditions = without_rejection(decision.status.conditions)
    if seen.problems or conditions == decision.status.conditions:
        return decision
    return decision.with_status(replace(decision.status, conditions=conditions))
