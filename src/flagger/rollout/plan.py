"""Which strategy a run follows: what the Canary asks for, within what its router can do."""

from __future__ import annotations

from dataclasses import dataclass

from flagger.api.analysis import Strategy
from flagger.rollout.state import Feature, Snapshot
from flagger.rollout.steps import Ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The course of a run.

    `routes` is False where the router can't move traffic at all; `warnings` are told once per run.
    `refused` says why the strategy can't be followed safely, or is empty.
    """

    strategy: Strategy
    iterations: int
    ladder: Ladder
    mirror: bool
    routes: bool
    warnings: tuple[str, ...] = ()
    refused: str = ""


def plan(seen: Snapshot) -> Plan:
    """The course of a run under the features of the Canary's router."""
    asked = seen.canary.spec.analysis
    analysis = asked.on(seen.provider)
    routes = Feature.WEIGHTS in seen.features
    needed = Feature.MIRROR_THEN_WEIGHTS if analysis.strategy is Strategy.CANARY else Feature.MIRROR
    mirror = analysis.mirror and analysis.strategy is not Strategy.AB
    warnings = []
    if not routes and asked.match:
        warnings.append(f"A/B testing is not supported when using the {seen.provider} provider")
    if not routes and asked.iterations < 1:
        warnings.append(f"Progressive traffic is not supported when using the {seen.provider} provider")
        warnings.append(f"Setting canaryAnalysis.iterations: {analysis.iterations}")
    if routes and mirror and needed not in seen.features:
        warnings.append(f"Mirroring is skipped: the {seen.provider} provider can't do it with this strategy")
    return Plan(
        strategy=analysis.strategy,
        iterations=analysis.iterations,
        ladder=Ladder(top=analysis.weight_limit, step=analysis.step_weight, rungs=analysis.step_weights),
        mirror=mirror and needed in seen.features,
        routes=routes,
        warnings=tuple(warnings),
        refused=_refusal(seen, analysis.strategy),
    )


def _refusal(seen: Snapshot, strategy: Strategy) -> str:
    if strategy is Strategy.AB and Feature.MATCH not in seen.features:
        return f"A/B testing is refused: the {seen.provider} provider can't route matching requests alone"
    return ""
