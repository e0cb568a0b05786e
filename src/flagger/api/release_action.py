"""The ReleaseAction: one thing that a person or a pipeline wants done with a Canary, once."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from flagger.api.errors import FieldError
from flagger.api.model import Model, decode
from flagger.api.references import Metadata
from flagger.api.schema import NUMBER, OBJECT_NAME, keywords

LIFETIME = timedelta(minutes=15)
"""How long an act may wait to be applied unless it says otherwise."""
APPROVAL_LIFETIME = timedelta(hours=8)
"""The same for approvals, which people give ahead of time."""
REASON_LIMIT = 500  # characters
Time = Annotated[datetime, Meta(tz=True)]


class Action(StrEnum):
    """What is wanted."""

    APPROVE = "approve"
    """Open a gate."""
    ABORT = "abort"
    """Take the run back, or refuse its candidate."""
    PAUSE = "pause"
    """Hold the weight; the checks go on."""
    RESUME = "resume"
    """End a pause."""
    PROMOTE = "promote"
    """Skip the remaining steps, or the wait before the next."""
    RETRY = "retry"
    """Run a failed revision again."""


class Scope(StrEnum):
    """How far an act goes."""

    NONE = ""
    """Not given: gate, all or run."""
    GATE = "gate"
    """approve: one gate, once."""
    REMAINING_STEPS = "remaining-steps"
    """approve: every further increase of this run."""
    ALL = "all"
    """promote: to the end."""
    STEP = "step"
    """promote: one step."""
    RUN = "run"
    """abort: the run."""
    PREVIOUS = "previous"
    """abort: go back to the revision before the promoted one."""


class ActionState(StrEnum):
    """What has become of an act."""

    PENDING = "Pending"
    """Not decided yet."""
    APPLIED = "Applied"
    """Done, or there was nothing left to do."""
    REFUSED = "Refused"
    """Not done, and it will not be."""
    EXPIRED = "Expired"
    """Not done in time."""
    SUPERSEDED = "Superseded"
    """What it was meant for is over."""


class Identity(StrEnum):
    """Whether it is known who asked."""

    VERIFIED = "Verified"
    """The API server let nobody else write this name."""
    UNVERIFIED = "Unverified"
    """The name is only what the object says."""


class Pin(Model):
    """What an act is meant for; it does nothing to anything else."""

    run: Annotated[int, NUMBER] | None = None
    """Number of the run."""
    revision: str = ""
    """Hash of the revision."""
    image: str = ""
    """Image of the target; the act waits for it."""
    weight: Annotated[int, NUMBER] | None = None
    """promote, scope step: weight in percent from which to go on."""


class Requester(Model):
    """Who asks."""

    username: str = ""
    """Name of the user."""
    groups: tuple[str, ...] = ()
    """Groups of the user."""


class ActionSpec(Model, kw_only=True):
    """What is wanted, by whom and why; never changes.

    That is the admission policy's to enforce, and the operator's, which refuses what was changed: the schema can't
    say it, as Kubernetes before 1.25 refuses definitions with such a rule.
    """

    canary: Annotated[str, OBJECT_NAME]
    """Name of the Canary, in the same namespace."""
    action: Action
    """What is wanted."""
    gate: str = ""
    """approve: the gate to open; abort: the gate that is rejected."""
    scope: Scope = Scope.NONE
    """How far the act goes."""
    pin: Pin = Pin()
    """What the act is meant for; one of its fields is needed except for pause and resume."""
    override: bool = False
    """approve: open a gate whose hook is not ours."""
    until: Time | None = None
    """pause: resumes by itself then; approve: the approval ends then."""
    reason: Annotated[str, keywords(maxLength=REASON_LIMIT)] = ""
    """Why."""
    requested_by: Requester = Requester()
    """Who asks."""
    via: str = ""
    """Where the act came from: cli, dashboard, chat, api, gitops or annotation."""
    expires_at: Time | None = None
    """When the act is given up if it was not applied by then; 15 minutes, for approvals 8 hours, by default."""

    @property
    def why(self) -> str:
        """Return the reason as it may be shown anywhere."""
        return plain_text(self.reason)

    @property
    def who(self) -> str:
        """Return the name of who asks as it may be shown anywhere."""
        return plain_text(self.requested_by.username) or "somebody"

    @property
    def lifetime(self) -> timedelta:
        """Return how long the act may wait without an `expiresAt` of its own."""
        return APPROVAL_LIFETIME if self.action is Action.APPROVE else LIFETIME


class Place(Model):
    """Where a release is."""

    phase: str = ""
    """Phase of the Canary."""
    weight: Annotated[int, NUMBER] = 0
    """Weight of the canary in percent."""


class ActionStatus(Model):
    """What has become of the act; written by the operator."""

    state: ActionState = ActionState.PENDING
    """What has become of the act."""
    identity: Identity = Identity.UNVERIFIED
    """Whether it is known who asked."""
    at: Time | None = None
    """Time of the decision."""
    before: Place | None = None
    """Where the release was."""
    after: Place | None = None
    """Where the act has left it."""
    code: str = ""
    """Stable name of the outcome, such as Applied.GateOpened."""
    message: str = ""
    """The outcome in one sentence."""


class ReleaseAction(Model):
    """One object of kind ReleaseAction, group release.flagger.app, version v1alpha1."""

    metadata: Metadata
    """Standard metadata."""
    spec: ActionSpec
    """What is wanted, by whom and why."""
    status: ActionStatus = ActionStatus()
    """What has become of it."""

    @classmethod
    def parse(cls, obj: object) -> "ReleaseAction":
        """Return the typed form of a plain object.

        Raises:
            FieldError: a field has the wrong type, is missing, or names an unknown action.
        """
        return decode(obj, cls)


_SCOPES: dict[Action, frozenset[Scope]] = {
    Action.APPROVE: frozenset({Scope.GATE, Scope.REMAINING_STEPS}),
    Action.PROMOTE: frozenset({Scope.ALL, Scope.STEP}),
    Action.ABORT: frozenset({Scope.RUN, Scope.PREVIOUS}),
}
_UNPINNED = frozenset({Action.PAUSE, Action.RESUME})


def action_problems(spec: ActionSpec) -> Iterator[FieldError]:
    """Yield what is wrong with an act, whatever it is applied to."""
    pin, scopes = spec.pin, sorted(_SCOPES.get(spec.action, ()))
    if spec.scope and spec.scope not in scopes:
        fix = f"use {' or '.join(scopes)}" if scopes else "remove it"
        yield FieldError("spec.scope", f"{spec.scope} does not go with {spec.action}", fix)
    if spec.action not in _UNPINNED and pin.run is None and not (pin.revision or pin.image):
        fix = "add run, revision or image, as in: kubectl get canary NAME -o jsonpath={.status.run.number}"
        yield FieldError("spec.pin", f"is missing, and {spec.action} must say what it is meant for", fix)
    if pin.weight is not None and spec.scope is not Scope.STEP:
        yield FieldError("spec.pin.weight", "goes with the scope step only", "remove it")
    if spec.gate and spec.action not in {Action.APPROVE, Action.ABORT}:
        yield FieldError("spec.gate", f"does not go with {spec.action}", "remove it")
    if spec.override and spec.action is not Action.APPROVE:
        yield FieldError("spec.override", f"does not go with {spec.action}", "remove it")
    if spec.until is not None and spec.action not in {Action.APPROVE, Action.PAUSE}:
        yield FieldError("spec.until", f"does not go with {spec.action}", "remove it")


def plain_text(text: str) -> str:
    """Return a text of a user without control characters and at most 500 characters long."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(shown.split())[:REASON_LIMIT]
