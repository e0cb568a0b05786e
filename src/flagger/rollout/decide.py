"""The rollout decisions in their order. Pure: the same snapshot and facts always decide the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from flagger.api.phases import without_rejection
from flagger.rollout import acts, adoption, farewell, guards, initialize, ordered, start, strategies
from flagger.rollout.affinity import with_cookies
from flagger.rollout.capacity import grown
from flagger.rollout.facts import Facts, Need
from flagger.rollout.gates import rollback_refusals
from flagger.rollout.state import Decision, Snapshot

Rule = Callable[[Snapshot, Facts], Need | Decision | None]

RULES: Sequence[Rule] = (
    farewell.terminating,  # a suspended or faulty Canary can be deleted too
    guards.frozen,
    guards.invalid,
    guards.troubled,
    acts.aborted,  # before anything that a readiness or a change of the target may decide
    initialize.bootstrap,
    adoption.adopt,
    guards.stranded,  # before anything new: traffic that a failed run left on the canary comes home first
    start.withdrawn,
    start.idle,
    guards.unsupported,
    guards.retreating,  # a rollback that has begun is not asked about again
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
    acts.not_due,  # an act brings a tick at once, which must not shorten an analysis
    start.start,
    strategies.bring_home,
    ordered.forced,
    ordered.step,
    strategies.advance,
)
"""The first rule that answers decides; a rule that doesn't apply answers None."""


def decide(seen: Snapshot, facts: Facts) -> Need | Decision:
    """What this tick does, or what it must know first.

    Called again with the answer until it is a Decision. The acts of people are heard first: the rules see the
    release as those have left it.
    """
    hearing = acts.heard(seen, facts)
    if not isinstance(hearing, acts.Hearing):
        return hearing
    verdict = _ruled(hearing.seen, facts)
    return hearing.concluded(verdict) if isinstance(verdict, Decision) else verdict


def _ruled(seen: Snapshot, facts: Facts) -> Need | Decision:
    for rule in RULES:
        verdict = rule(seen, facts)
        if isinstance(verdict, Decision) and seen.deleting:
            return verdict  # with its finalizer a Canary goes, so its status is not touched up
        if isinstance(verdict, Decision):
            verdict = verdict.with_status(grown(seen, verdict.status))
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
