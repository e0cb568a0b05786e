"""`status` of a Canary: what survives a restart of the operator."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from flagger.api.model import Model
from flagger.api.phases import PROMOTED, Condition, Phase
from flagger.api.schema import NUMBER


class RunRecord(Model):
    """What must be remembered of a run that the other fields of the status don't say."""

    number: int = 0
    """Number of the run, counted per Canary from 1."""
    revision: str = ""
    """Hash of the target's revision that the run releases."""
    started: Annotated[datetime, Meta(tz=True)] | None = None
    """Time at which the run started."""
    pre_rollout: bool = False
    """The pre-rollout hooks have passed; they are not called again."""
    approved: bool = False
    """The promotion was approved; it is not asked for again."""
    waiting: str = ""
    """The closed gate that people were told about."""


class CanaryStatus(Model):
    """State of a Canary as last written by the operator."""

    phase: Phase = Phase.NEW
    """Where the Canary is in its life."""
    failed_checks: Annotated[int, NUMBER] = 0
    """Failed checks of the current run, or of the last one."""
    canary_weight: Annotated[int, NUMBER] = 0
    """Share of traffic of the new revision, in percent; 0 for A/B and blue/green."""
    iterations: Annotated[int, NUMBER] = 0
    """Iterations done of an A/B or blue/green run."""
    tracked_configs: Mapping[str, str] | None = None
    """configmap/NAME or secret/NAME to its checksum; absent when configs are not tracked."""
    last_applied_spec: str = ""
    """Hash of the target's revision that was seen last."""
    last_promoted_spec: str = ""
    """Hash of the revision that the primary runs."""
    last_transition_time: Annotated[datetime, Meta(tz=True)] | None = None
    """Time of the last write of this status."""
    session_affinity_cookie: str = ""
    """Cookie of the current run that pins clients to the new revision, NAME=VALUE."""
    previous_session_affinity_cookie: str = ""
    """Cookie of the previous run, which clients are told to drop."""
    primary_session_affinity_cookie: str = ""
    """Cookie that pins clients to the primary, NAME=VALUE."""
    conditions: tuple[Condition, ...] = ()
    """What can be waited for, see the condition Promoted."""
    run: RunRecord | None = None
    """The current run, or the last one."""

    @property
    def promoted(self) -> Condition | None:
        """Return the condition of type Promoted; None for a Canary that was never accepted."""
        return next((condition for condition in self.conditions if condition.type == PROMOTED), None)
