"""When a Deployment can serve, and when waiting for it is over. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from flagger.kube.objects import Object, name_of
from flagger.rollout.state import READY, Readiness

_WAITING = "waiting for rollout to finish: "


def deployment_readiness(deployment: Object, threshold: int, deadline: timedelta, now: datetime) -> Readiness:
    """Whether all replicas are updated and `threshold` percent of them available.

    Two clocks end the wait: the Deployment's own progress deadline, and `deadline` since it became
    unavailable.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    if deployment["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return Readiness(False, f"{_WAITING}observed deployment generation less than desired generation")
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        text = f'deployment "{name_of(deployment)}" exceeded its progress deadline'
        return Readiness(False, text, terminal=True)
    missing = _missing(spec, status, threshold)
    if not missing:
        return READY
    return Readiness(False, _WAITING + missing, terminal=_expired(conditions, deadline, now))


def daemonset_readiness(daemonset: Object, threshold: int) -> str:
    """What is missing until all nodes have the new pod and `threshold` percent of those are available; or ""."""
    status = daemonset.get("status") or {}
    if daemonset["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return f"{_WAITING}observed daemonset generation less than desired generation"
    desired, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available, needed = status.get("numberAvailable", 0), desired * threshold // 100
    if updated < desired:
        return f"{_WAITING}{updated} out of {desired} new pods have been updated"
    if available < needed:
        return f"{_WAITING}{available} of {needed} (readyThreshold {threshold}%) updated pods are available"
    return ""


def _missing(spec: Object, status: Object, threshold: int) -> str:
    total, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    available, wanted = status.get("availableReplicas", 0), spec.get("replicas")
    needed = updated * threshold // 100
    if wanted is not None and updated < wanted:
        return f"{updated} out of {wanted} new replicas have been updated"
    if total > updated:
        return f"{total - updated} old replicas are pending termination"
    if available < needed:
        return f"{available} of {needed} (readyThreshold {threshold}%) updated replicas are available"
    return ""


def _expired(conditions: dict[str, Object], deadline: timedelta, now: datetime) -> bool:
    available = conditions.get("Available", {})
    if "Progressing" not in conditions or available.get("reason") != "MinimumReplicasUnavailable":
        return False
    since = available.get("lastUpdateTime")
    if not since or available.get("status") != "False":
        return False
    return datetime.fromisoformat(since) + deadline < now
