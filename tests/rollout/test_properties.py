"""Promises that hold whatever happens: random specs, hooks, checks, revisions, readiness and crashes."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flagger.api.phases import Phase
from tests.rollout.simulation import Tick, World

GATES = ("confirm-rollout", "pre-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
ENDED = frozenset({"Succeeded", "Failed", "Initialized"})

analyses = st.one_of(
    st.fixed_dictionaries({"stepWeight": st.integers(1, 100)}, optional={"maxWeight": st.integers(1, 100)}),
    st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True).map(
        lambda w: {"stepWeights": sorted(w)}
    ),
    st.fixed_dictionaries({"iterations": st.integers(1, 4)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 4)}).map(
        lambda a: {**a, "match": [{"headers": {"x-beta": {"exact": "on"}}}]}
    ),
)


class Releases(RuleBasedStateMachine):
    """A Canary that lives through arbitrary weather."""

    world: World

    @initialize(
        analysis=analyses,
        threshold=st.integers(1, 3),
        back=st.sampled_from([0, 0, 30]),
        mirror=st.booleans(),
        gates=st.sets(st.sampled_from(GATES), max_size=2),
        provider=st.sampled_from(["istio", "istio", "kubernetes"]),
    )
    def begin(
        self,
        analysis: dict[str, Any],
        threshold: int,
        back: int,
        mirror: bool,
        gates: set[str],
        provider: str,
    ) -> None:
        """Any spec that the API lets through."""
        hooks = [{"name": gate, "type": gate, "url": "http://gate.shop"} for gate in sorted(gates)]
        spec = {
            **analysis,
            "threshold": threshold,
            "stepWeightPromotion": back,
            "mirror": mirror,
            "webhooks": hooks,
        }
        self.world = World(spec, provider=provider)
        self.world.hooks["rollback"] = 403
        self.last: Tick | None = None
        self.crashed = False

    @rule(revision=st.sampled_from("ABCDE"))
    def push(self, revision: str) -> None:
        """A user changes the target."""
        self.world.given({"target": revision})

    @rule(state=st.sampled_from(["ready", "it starts", "!it is stuck"]))
    def canary_is(self, state: str) -> None:
        """The target's pods come and go."""
        self.world.given({"canary": state})

    @rule(state=st.sampled_from(["ready", "it starts", "!it is stuck"]))
    def primary_is(self, state: str) -> None:
        """The primary's pods come and go."""
        self.world.given({"primary": state})

    @rule(gate=st.sampled_from(GATES), open_=st.booleans())
    def gate_is(self, gate: str, open_: bool) -> None:
        """Somebody opens or closes a gate."""
        self.world.given({"hooks": {gate: 200 if open_ else 403}})

    @rule(skip=st.booleans())
    def skip_analysis(self, skip: bool) -> None:
        """Somebody is in a hurry, or not any more."""
        self.world.given({"spec": {"skipAnalysis": skip}})

    @rule(weight=st.integers(0, 100))
    def foreign_weight(self, weight: int) -> None:
        """Somebody edits the route by hand."""
        self.world.meddle(weight)

    @rule(verdict=st.sampled_from(["pass", "fail"]), times=st.integers(1, 3))
    def tick(self, verdict: str, times: int) -> None:
        """The operator looks, a few times in a row."""
        for _ in range(times):
            self.world.given({"checks": verdict})
            before = self.world.status
            self.last = self.world.tick()
            if verdict == "fail" and self.world.asked_checks:
                assert self.world.status.phase not in {Phase.PROMOTING, Phase.SUCCEEDED}, (
                    "promoted on a failed verdict"
                )
                assert before.phase in {Phase.PROGRESSING, Phase.WAITING_PROMOTION}

    @rule(effects=st.integers(0, 4))
    def crash(self, effects: int) -> None:
        """The operator dies after some effects of a tick, before it could write the status."""
        self.world.crash(after=effects)
        self.crashed = True

    @rule()
    def calm(self) -> None:
        """Everything becomes well: the release comes to an end, and nothing is lost."""
        calm = {gate: 403 if gate == "rollback" else 200 for gate in GATES}
        self.world.given({"canary": "ready", "primary": "ready", "hooks": calm})
        for _ in range(200):
            tick = self.world.tick()
            if tick.phase in ENDED and self.world.rests():
                break
        else:
            raise AssertionError(f"no end in sight: {tick}")
        status, target = self.world.status, self.world.target.revision
        assert target in {status.last_applied_spec, status.last_promoted_spec}, "a revision was lost"
        assert self.world.primary is not None
        assert self.world.primary.revision == status.last_promoted_spec, "the status lies about the primary"
        assert tick.split in {"100/0", "n/a"}
        assert tick.target == "0" or self.crashed, "only a tick that broke off may leave idle pods behind"

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def users_are_served(self) -> None:
        """No tick ever sends traffic to a side without a ready pod while the other side has one."""
        assert not self.world.outages, self.world.outages

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def a_restart_changes_nothing(self) -> None:
        """What a fresh operator sees is what the running one sees."""
        assert self.world.reread() == self.world.status


TestReleases = Releases.TestCase
TestReleases.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
