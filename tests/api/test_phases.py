"""Phases, and the conditions made of them."""

from datetime import UTC, datetime, timedelta

import pytest

from flagger.api.errors import FieldError
from flagger.api.phases import (
    ACTIVE,
    IDLE,
    INITIAL,
    Condition,
    Failure,
    Phase,
    is_new,
    promoted_message,
    promoted_status,
    with_phase,
    with_rejection,
    without_rejection,
)

NOON = datetime(2030, 1, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def a_condition(phase: Phase = Phase.PROGRESSING) -> Condition:
    """What a Canary says at noon."""
    (condition,) = with_phase((), phase, promoted_message(phase, "Deployment"), NOON)
    return condition


@pytest.mark.parametrize(
    ("phase", "status", "phrases"),
    [
        (Phase.NEW, "Unknown", ["New Deployment detected", "starting initialization"]),
        (Phase.INITIALIZING, "Unknown", ["New Deployment detected", "starting initialization"]),
        (Phase.INITIALIZED, "True", ["Deployment initialization completed"]),
        (Phase.WAITING, "Unknown", ["Waiting for approval"]),
        (Phase.PROGRESSING, "Unknown", ["New revision detected", "progressing canary analysis"]),
        (Phase.WAITING_PROMOTION, "Unknown", ["Waiting for approval"]),
        (Phase.PROMOTING, "Unknown", ["Canary analysis completed", "starting primary rolling update"]),
        (Phase.FINALISING, "Unknown", ["Canary analysis completed", "routing all traffic to primary"]),
        (Phase.SUCCEEDED, "True", ["Canary analysis completed successfully", "promotion finished"]),
        (Phase.FAILED, "False", ["Canary analysis failed", "Deployment scaled to zero"]),
        (Phase.TERMINATING, "Unknown", ["being deleted"]),
        (Phase.TERMINATED, "Unknown", ["deleted"]),
    ],
)
def test_says_the_phase(phase: Phase, status: str, phrases: list[str]) -> None:
    """Status, reason and key phrases are the ones that scripts wait for and people grep for."""
    condition = a_condition(phase)

    assert (condition.type, condition.status) == ("Promoted", status)
    assert promoted_status(phase) == status
    assert condition.reason == (phase.value or "Initializing")
    assert all(phrase in condition.message for phrase in phrases)


@pytest.mark.parametrize(
    ("failure", "said", "unsaid"),
    [
        (Failure.SCALED_TO_ZERO, "scaled to zero", "promotion"),
        (Failure.ROUTED_BACK, "all traffic is on the primary", "scaled to zero"),
        (Failure.PROMOTION, "Canary promotion failed", "scaled to zero"),
    ],
)
def test_a_failure_says_what_happened(failure: Failure, said: str, unsaid: str) -> None:
    """The message never claims that a workload was scaled down which was not."""
    message = promoted_message(Phase.FAILED, "DaemonSet", failure)

    assert said in message
    assert unsaid not in message


def test_every_phase_has_one_place() -> None:
    """A phase is initial, active or idle; only the two of the end are neither."""
    assert not INITIAL & ACTIVE
    assert not ACTIVE & IDLE
    assert set(Phase) - INITIAL - ACTIVE - IDLE == {Phase.TERMINATING, Phase.TERMINATED}


def test_the_same_phase_again_moves_nothing() -> None:
    """Times stay while status and reason do, even when the message would differ."""
    (again,) = with_phase((a_condition(),), Phase.PROGRESSING, "other words", LATER)

    assert again == a_condition()


def test_another_phase_of_the_same_status_keeps_the_transition_time() -> None:
    """Promoting is as undecided as Progressing: the update time moves, the transition time does not."""
    (condition,) = with_phase((a_condition(),), Phase.PROMOTING, "…", LATER)

    assert condition.reason == "Promoting"
    assert (condition.last_update_time, condition.last_transition_time) == (LATER, NOON)


def test_another_status_moves_both_times() -> None:
    """Promoted=Unknown became Promoted=True."""
    (condition,) = with_phase((a_condition(),), Phase.SUCCEEDED, "…", LATER)

    assert condition.status == "True"
    assert (condition.last_update_time, condition.last_transition_time) == (LATER, LATER)


def test_a_rejection_stands_beside_the_promotion() -> None:
    """What is wrong is told without losing what happened, once, and it goes when it is right again."""
    problem = FieldError("spec.service.port", "is missing", "add it")

    rejected = with_rejection((a_condition(),), problem, NOON)
    again = with_rejection(rejected, problem, LATER)
    another = with_rejection(rejected, FieldError("spec", "is missing", "add it"), LATER)

    assert [condition.type for condition in rejected] == ["Promoted", "Accepted"]
    assert rejected[1].status == "False"
    assert "spec.service.port" in rejected[1].message
    assert again == rejected
    assert (another[1].last_update_time, another[1].last_transition_time) == (LATER, NOON)
    assert without_rejection(rejected) == (a_condition(),)


def test_a_rejected_canary_is_still_new() -> None:
    """Only the condition Promoted tells of an accepted Canary; a change of phase clears the rest."""
    rejected = with_rejection((), FieldError("spec", "is missing", "add it"), NOON)

    assert is_new(())
    assert is_new(rejected)
    assert not is_new((a_condition(),))
    assert with_phase(rejected, Phase.PROGRESSING, a_condition().message, NOON) == (a_condition(),)


def test_a_condition_is_written_as_the_cluster_has_it() -> None:
    """The plain form has the API's names and times; absent times are left out."""
    assert a_condition(Phase.WAITING).as_object() == {
        "type": "Promoted",
        "status": "Unknown",
        "reason": "Waiting",
        "message": "Waiting for approval.",
        "lastUpdateTime": "2030-01-05T12:00:00Z",
        "lastTransitionTime": "2030-01-05T12:00:00Z",
    }
    assert set(Condition(type="A", status="True", reason="B").as_object()) == {
        "type",
        "status",
        "reason",
        "message",
    }
