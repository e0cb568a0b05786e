"""The Release: what is going on with a Canary, and what went on, written by the operator alone."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from flagger.api.model import Model, decode
from flagger.api.references import Metadata
from flagger.api.schema import NUMBER

RUNS_KEPT = 20
"""Runs that a Release remembers."""
Time = Annotated[datetime, Meta(tz=True)]
Number = Annotated[int, NUMBER]


class ReleasePause(Model):
    """Why nothing moves."""

    by: str = ""
    """Who paused it; empty when the annotation on the Canary does."""
    reason: str = ""
    """Why."""
    since: Time | None = None
    """Since when."""
    until: Time | None = None
    """When it resumes by itself."""


class ReleaseApproval(Model):
    """One person's yes."""

    by: str
    """Who approved."""
    at: Time | None = None
    """When."""


class ReleaseGate(Model):
    """A gate of the current run."""

    name: str
    """Name of its hook."""
    type: str
    """When it is asked."""
    native: bool = False
    """It needs no service: people open it."""
    required: Number = 0
    """Approvals that a native gate needs."""
    approvals: tuple[ReleaseApproval, ...] = ()
    """Who has approved."""


class ReleaseCurrent(Model):
    """Where the release is now."""

    phase: str = ""
    """Phase of the Canary."""
    run: Number = 0
    """Number of the current run, or of the last one."""
    revision: str = ""
    """Hash of the revision of that run."""
    weight: Number = 0
    """Weight of the canary in percent."""
    iterations: Number = 0
    """Iterations done of an A/B or blue/green run."""
    failed_checks: Number = 0
    """Failed checks of the run."""
    reason: str = ""
    """How the last tick ended, in one sentence."""
    pause: ReleasePause | None = None
    """Why nothing moves."""
    gates: tuple[ReleaseGate, ...] = ()
    """Everything that waits for a person, and who has agreed."""


class RunAction(Model):
    """What somebody wanted during a run."""

    id: str
    """Identity of the act."""
    action: str
    """What was wanted."""
    by: str = ""
    """Who asked."""
    reason: str = ""
    """Why."""
    gate: str = ""
    """The gate that it was about."""
    via: str = ""
    """Where it came from."""
    at: Time | None = None
    """When it was decided."""
    state: str = ""
    """What became of it."""
    code: str = ""
    """Stable name of the outcome."""
    message: str = ""
    """The outcome in one sentence."""


class ReleaseRun(Model):
    """One attempt to ship one revision."""

    number: Number
    """Number of the run."""
    revision: str = ""
    """Hash of its revision."""
    started: Time | None = None
    """When it started."""
    ended: Time | None = None
    """When it ended."""
    result: str = ""
    """running, promoted, failed, aborted, cancelled or superseded."""
    forced: bool = False
    """Somebody skipped its remaining steps."""
    failed_checks: Number = 0
    """Most failed checks that were seen."""
    weight: Number = 0
    """Highest weight that was seen, in percent."""
    actions: tuple[RunAction, ...] = ()
    """What people wanted meanwhile."""


class ReleaseCondition(Model):
    """One observation in the usual Kubernetes form."""

    type: str
    """Ready, Progressing, Paused or Degraded."""
    status: str
    """True or False."""
    reason: str = ""
    """The phase."""
    message: str = ""
    """Human-readable explanation."""
    observed_generation: int = 0
    """Generation of the Canary that it is about."""
    last_transition_time: Time | None = None
    """When the status last changed."""


class ReleaseStatus(Model):
    """What the operator knows about a release."""

    observed_generation: int = 0
    """Generation of the Canary that was looked at."""
    current: ReleaseCurrent = ReleaseCurrent()
    """Where the release is now."""
    runs: tuple[ReleaseRun, ...] = ()
    """The last 20 runs, newest first."""
    conditions: tuple[ReleaseCondition, ...] = ()
    """What can be waited for."""


class Release(Model):
    """One object of kind Release, group release.flagger.app, version v1alpha1."""

    metadata: Metadata
    """Standard metadata."""
    status: ReleaseStatus = ReleaseStatus()
    """What the operator knows."""

    @classmethod
    def parse(cls, obj: object) -> "Release":
        """Return the typed form of a plain object.

        Raises:
            FieldError: a field has the wrong type.
        """
        return decode(obj, cls)
