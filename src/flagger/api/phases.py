"""Phases of a Canary and the conditions that tell the outside world about them. Pure: `now` comes in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from flagger.api.errors import FieldError
from flagger.api.model import Model
from flagger.api.quantities import format_time


class Phase(StrEnum):
    """Where a Canary is in its life. The values are stored and are upstream's, spelling included."""

    NEW = ""
    """Never synced; the tick treats it as Initializing."""
    INITIALIZING = "Initializing"
    """The primary is being set up."""
    INITIALIZED = "Initialized"
    """The primary serves, the target is at zero; waiting for the first change."""
    WAITING = "Waiting"
    """A change was seen, a confirm-rollout gate is closed."""
    PROGRESSING = "Progressing"
    """The analysis runs."""
    WAITING_PROMOTION = "WaitingPromotion"
    """The analysis passed, a confirm-promotion gate is closed; the analysis goes on."""
    PROMOTING = "Promoting"
    """The primary rolls out the new revision, then traffic returns to it."""
    FINALISING = "Finalising"
    """Traffic is on the primary; the target is about to be scaled down."""
    SUCCEEDED = "Succeeded"
    """Promoted; waiting for the next change."""
    FAILED = "Failed"
    """Rolled back, or the promotion failed; waiting for the next change."""
    TERMINATING = "Terminating"
    """The Canary is being deleted and hands everything back."""
    TERMINATED = "Terminated"
    """Declared by upstream, never written."""


INITIAL = frozenset({Phase.NEW, Phase.INITIALIZING})
"""The primary is not known to serve yet."""
ACTIVE = frozenset(
    {Phase.PROGRESSING, Phase.WAITING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING}
)
"""A run is under way: every tick acts."""
IDLE = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})
"""Only a change of the target (or of its configs) starts something."""

PROMOTED = "Promoted"
"""Type of the condition that follows the phase: `kubectl wait --for=condition=promoted`."""
ACCEPTED = "Accepted"
"""Type of the condition that says, with status False, that the spec cannot be used and why."""


class Condition(Model):
    """One observation about a Canary in the usual Kubernetes form."""

    type: str
    """Type of the condition."""
    status: str
    """Status of the condition: True, False or Unknown."""
    reason: str
    """Reason of the last change; of type Promoted it is the phase."""
    message: str = ""
    """Human-readable explanation."""
    last_update_time: Annotated[datetime, Meta(tz=True)] | None = None
    """Time of the last change of this condition."""
    last_transition_time: Annotated[datetime, Meta(tz=True)] | None = None
    """Time at which the status last changed."""

    def as_object(self) -> dict[str, Any]:
        """Return the condition as the plain object that is written to the cluster."""
        times = {"lastUpdateTime": self.last_update_time, "lastTransitionTime": self.last_transition_time}
        plain = {"type": self.type, "status": self.status, "reason": self.reason, "message": self.message}
        return plain | {name: format_time(time) for name, time in times.items() if time is not None}


class Failure(Enum):
    """How a run came to its phase Failed; only the message of the condition differs."""

    SCALED_TO_ZERO = "{kind} scaled to zero."
    ROUTED_BACK = "all traffic is on the primary."
    PROMOTION = "the primary did not become ready with the new revision, traffic stays on {kind}."


_STATUS: Mapping[Phase, str] = {
    Phase.INITIALIZED: "True",
    Phase.SUCCEEDED: "True",
    Phase.FAILED: "False",
}  # Unknown in every other phase

_MESSAGES: Mapping[Phase, str] = {
    Phase.NEW: "New {kind} detected, starting initialization.",
    Phase.INITIALIZING: "New {kind} detected, starting initialization.",
    Phase.INITIALIZED: "{kind} initialization completed.",
    Phase.WAITING: "Waiting for approval.",
    Phase.PROGRESSING: "New revision detected, progressing canary analysis.",
    Phase.WAITING_PROMOTION: "Waiting for approval.",
    Phase.PROMOTING: "Canary analysis completed, starting primary rolling update.",
    Phase.FINALISING: "Canary analysis completed, routing all traffic to primary.",
    Phase.SUCCEEDED: "Canary analysis completed successfully, promotion finished.",
    Phase.TERMINATING: "Canary is being deleted, {kind} is handed back.",
    Phase.TERMINATED: "Canary deleted, {kind} was handed back.",
}


def promoted_status(phase: Phase) -> str:
    """Return the status of the Promoted condition in this phase: True, False or Unknown."""
    return _STATUS.get(phase, "Unknown")


def promoted_message(phase: Phase, kind: str, failure: Failure = Failure.SCALED_TO_ZERO) -> str:
    """Return the message of the Promoted condition; `kind` is the target's, `failure` tells of Failed."""
    if phase is Phase.FAILED:
        what = "Canary promotion failed" if failure is Failure.PROMOTION else "Canary analysis failed"
        return f"{what}, {failure.value.format(kind=kind)}"
    return _MESSAGES[phase].format(kind=kind)


def is_new(conditions: Sequence[Condition]) -> bool:
    """Say whether the Canary was never accepted: nothing has been said about its promotion."""
    return all(condition.type != PROMOTED for condition in conditions)


def with_phase(
    conditions: Sequence[Condition], phase: Phase, message: str, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions after a change of phase: exactly one, of type Promoted.

    It is left alone while status and reason stay; the transition time moves only when the status does.
    """
    reason = phase or Phase.INITIALIZING
    fresh = Condition(
        type=PROMOTED,
        status=promoted_status(phase),
        reason=str(reason.value),
        message=message,
        last_update_time=now,
        last_transition_time=now,
    )
    return (_succeed(_of_type(conditions, PROMOTED), fresh),)


def with_rejection(
    conditions: Sequence[Condition], error: FieldError, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions with Accepted=False that names the field; what is said of the promotion stays."""
    fresh = Condition(
        type=ACCEPTED,
        status="False",
        reason="InvalidSpec",
        message=str(error),
        last_update_time=now,
        last_transition_time=now,
    )
    return (*without_rejection(conditions), _succeed(_of_type(conditions, ACCEPTED), fresh))


def without_rejection(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return the conditions of a Canary whose spec is usable (again)."""
    return tuple(condition for condition in conditions if condition.type != ACCEPTED)


def _of_type(conditions: Sequence[Condition], kind: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _succeed(old: Condition | None, new: Condition) -> Condition:
    """Choose between the stored and the new condition, and carry the transition time over."""
    if old is None or old.status != new.status:
        return new
    same_message = new.type == PROMOTED or old.message == new.message
    if old.reason == new.reason and same_message:
        return old
    return replace(new, last_transition_time=old.last_transition_time)
