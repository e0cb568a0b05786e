"""When a Deployment can serve, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger.kube.objects import Object
from flagger.rollout.state import READY, Readiness
from flagger.workloads.readiness import deployment_readiness

NOW = datetime(2030, 1, 5, 10, 0, tzinfo=UTC)
WAITING = "waiting for rollout to finish: "
UNAVAILABLE_FOR_10_S = [
    {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
    {
        "type": "Available",
        "status": "False",
        "reason": "MinimumReplicasUnavailable",
        "lastUpdateTime": "2030-01-05T09:59:50Z",
    },
]
DEADLINE_EXCEEDED = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


def a_deployment(*, wanted: int | None = None, seen: int = 3, **status: Any) -> Object:
    """A Deployment of generation 3."""
    spec = {} if wanted is None else {"replicas": wanted}
    metadata = {"name": "checkout", "namespace": "shop", "generation": 3}
    return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": seen, **status}}


def judged(deployment: Object, threshold: int = 100, deadline: int = 600) -> Readiness:
    return deployment_readiness(deployment, threshold, timedelta(seconds=deadline), NOW)


@pytest.mark.parametrize(
    ("wanted", "total", "updated", "available", "threshold"),
    [
        pytest.param(1, 1, 1, 1, 100, id="all there"),
        pytest.param(4, 4, 4, 2, 50, id="half is enough"),
        pytest.param(4, 4, 4, 0, 0, id="none is enough"),
        pytest.param(0, 0, 0, 0, 100, id="nothing wanted"),
        pytest.param(None, 2, 2, 2, 100, id="no number of replicas given"),
        pytest.param(3, 3, 3, 1, 50, id="a half of 3 is cut to 1"),
    ],
)
def test_serves(wanted: int | None, total: int, updated: int, available: int, threshold: int) -> None:
    """Everything is updated, nothing old is left, and enough of it is available."""
    deployment = a_deployment(
        wanted=wanted, replicas=total, updatedReplicas=updated, availableReplicas=available
    )

    assert judged(deployment, threshold) == READY


@pytest.mark.parametrize(
    ("deployment", "threshold", "message"),
    [
        pytest.param(
            a_deployment(seen=2, replicas=1, updatedReplicas=1, availableReplicas=1),
            100,
            "observed deployment generation less than desired generation",
            id="not seen yet",
        ),
        pytest.param(
            a_deployment(wanted=2, replicas=1, updatedReplicas=1),
            100,
            "1 out of 2 new replicas have been updated",
            id="too few",
        ),
        pytest.param(
            a_deployment(replicas=2, updatedReplicas=1),
            100,
            "1 old replicas are pending termination",
            id="old ones left",
        ),
        pytest.param(
            a_deployment(wanted=2, replicas=2, updatedReplicas=2, availableReplicas=1),
            100,
            "1 of 2 (readyThreshold 100%) updated replicas are available",
            id="one unavailable",
        ),
        pytest.param(
            a_deployment(wanted=4, replicas=4, updatedReplicas=4, availableReplicas=1),
            50,
            "1 of 2 (readyThreshold 50%) updated replicas are available",
            id="less than half",
        ),
        pytest.param(
            {"metadata": {"name": "checkout", "generation": 1}, "spec": {"replicas": 1}},
            100,
            "observed deployment generation less than desired generation",
            id="no status at all",
        ),
    ],
)
def test_waits(deployment: Object, threshold: int, message: str) -> None:
    """What is missing is said, in upstream's words; waiting may help."""
    assert judged(deployment, threshold) == Readiness(False, WAITING + message)


def test_its_own_deadline_ends_the_wait() -> None:
    """Once the Deployment controller has given up, waiting is over, whatever the numbers say."""
    deployment = a_deployment(wanted=1, replicas=1, updatedReplicas=1, conditions=DEADLINE_EXCEEDED)

    assert judged(deployment) == Readiness(
        False, 'deployment "checkout" exceeded its progress deadline', True
    )


@pytest.mark.parametrize(
    ("deadline", "terminal"),
    [
        pytest.param(5, True, id="passed"),
        pytest.param(10, False, id="just now"),
        pytest.param(60, False, id="to come"),
    ],
)
def test_the_canarys_deadline_ends_the_wait(deadline: int, terminal: bool) -> None:
    """The Canary's deadline counts from when the Deployment became unavailable."""
    deployment = a_deployment(
        wanted=2, replicas=2, updatedReplicas=2, availableReplicas=1, conditions=UNAVAILABLE_FOR_10_S
    )

    assert judged(deployment, deadline=deadline).terminal is terminal


@pytest.mark.parametrize(
    "conditions", [UNAVAILABLE_FOR_10_S[1:], UNAVAILABLE_FOR_10_S[:1]], ids=["no progress", "available"]
)
def test_the_canarys_deadline_needs_both_conditions(conditions: list[Object]) -> None:
    """Without either condition it isn't known since when the Deployment is unavailable."""
    deployment = a_deployment(wanted=2, replicas=2, updatedReplicas=2, conditions=conditions)

    assert not judged(deployment, deadline=1).terminal


def test_a_ready_deployment_has_no_deadline() -> None:
    """Old conditions of a Deployment that is ready mean nothing."""
    deployment = a_deployment(
        wanted=1, replicas=1, updatedReplicas=1, availableReplicas=1, conditions=UNAVAILABLE_FOR_10_S
    )

    assert judged(deployment, deadline=1) == READY
