"""What people want done, as data: one act, whether it is permitted, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from flagger.api.release_action import Action, ActionSpec, ActionState, Identity, Scope


class Order(Enum):
    """What an act wants, as the rows of the table of `acts` have it."""

    APPROVE = "approve"
    ABORT = "abort"
    ABORT_TO_PREVIOUS = "abort to previous"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    STEP = "promote one step"
    RETRY = "retry"


_NARROWED = {
    (Action.ABORT, Scope.PREVIOUS): Order.ABORT_TO_PREVIOUS,
    (Action.PROMOTE, Scope.STEP): Order.STEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act that waits to be decided.

    `objection` is code and text of what stands against it whatever the release does, `pending` what was last
    said about it.
    """

    uid: str
    spec: ActionSpec
    created: datetime
    identity: Identity = Identity.UNVERIFIED
    objection: tuple[str, str] | None = None
    pending: str = ""

    @property
    def order(self) -> Order:
        """What it wants."""
        return _NARROWED.get((self.spec.action, self.spec.scope)) or Order(str(self.spec.action))

    @property
    def expires(self) -> datetime:
        """When it is given up."""
        return self.spec.expires_at or self.created + self.spec.lifetime

    @property
    def says(self) -> str:
        """`by <who>: <why>`, as events have it."""
        return f"by {self.spec.who}" + (f": {self.spec.why}" if self.spec.why else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of an act; `code` is what follows the state in the stable name of the outcome."""

    state: ActionState
    code: str
    message: str

    @property
    def name(self) -> str:
        """The stable name, such as `Applied.GateOpened`."""
        return f"{self.state}.{self.code}"


@dataclass(frozen=True, slots=True)
class ActResult:
    """An act and its answer; `again` says that it was given before, and a crash lost it."""

    act: Act
    answer: Answer
    again: bool = False


def applied(code: str, message: str) -> Answer:
    """It was done, or there was nothing left to do."""
    return Answer(ActionState.APPLIED, code, message)


def refused(code: str, message: str) -> Answer:
    """It is not done, and will not be."""
    return Answer(ActionState.REFUSED, code, message)


def pending(code: str, message: str) -> Answer:
    """It is not decided yet."""
    return Answer(ActionState.PENDING, code, message)


def superseded(code: str, message: str) -> Answer:
    """What it was meant for is over."""
    return Answer(ActionState.SUPERSEDED, code, message)
