"""How a Job stands: counting its pods, and when it is over; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flagger.kube.objects import Object
from flagger.sandbox.controllers.pods import condition_of, is_active, phase_of, stamp, time_of

FIRST_BACK_OFF = 10.0  # seconds after the first failure, doubled for each later one
LONGEST_BACK_OFF = 360.0


@dataclass(frozen=True, slots=True)
class Count:
    """A Job's pods."""

    active: int
    succeeded: int
    failed: int
    restarts: int = 0
    """Of containers in active pods, for Jobs whose pods start them again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a Job ended."""

    good: bool
    reason: str = ""
    message: str = ""

    @property
    def event(self) -> str:
        """The reason of the Event."""
        return "Completed" if self.good else self.reason


def counted(pods: Sequence[Object]) -> Count:
    """Count pods."""
    active = [pod for pod in pods if is_active(pod)]
    statuses = [status for pod in active for status in pod.get("status", {}).get("containerStatuses") or ()]
    return Count(
        active=len(active),
        succeeded=sum(phase_of(pod) == "Succeeded" for pod in pods),
        failed=sum(phase_of(pod) == "Failed" for pod in pods),
        restarts=sum(status.get("restartCount", 0) for status in statuses),
    )


def verdict(job: Object, count: Count, now: datetime) -> Verdict | None:
    """Is the Job over, and how?"""
    spec = job["spec"]
    limit = spec.get("backoffLimit", 6)
    restarted = spec["template"]["spec"].get("restartPolicy") == "OnFailure" and count.restarts > limit
    if count.failed > limit or restarted:
        return Verdict(
            good=False, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
        )
    left = deadline_in(job, now)
    if left is not None and left <= 0:
        text = "Job was active longer than specified deadline"
        return Verdict(good=False, reason="DeadlineExceeded", message=text)
    completions = spec.get("completions")
    if completions is None:  # a queue of work: the first success ends it, once all pods are done
        return Verdict(good=True) if count.succeeded and not count.active else None
    return Verdict(good=True) if count.succeeded >= completions else None


def deadline_in(job: Object, now: datetime) -> float | None:
    """Seconds until the Job's time is up; None if it may take any."""
    limit = job["spec"].get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if limit is None or started is None:
        return None
    return (time_of(started) + timedelta(seconds=limit) - now).total_seconds()


def parallel(job: Object, count: Count) -> int:
    """How many pods should be running."""
    spec = job["spec"]
    if spec.get("suspend"):
        return 0
    parallelism = int(spec.get("parallelism", 1))
    completions = spec.get("completions")
    if completions is None:
        return count.active if count.succeeded else parallelism
    return min(parallelism, max(0, int(completions) - count.succeeded))


def back_off(pods: Sequence[Object], now: datetime) -> float:
    """Seconds to wait before another pod is started, after pods have failed."""
    failed = [pod for pod in pods if phase_of(pod) == "Failed"]
    if not failed:
        return 0.0
    last = max(ended_at(pod) for pod in failed)
    pause = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** (len(failed) - 1))
    return max(0.0, (last + timedelta(seconds=pause) - now).total_seconds())


def ended_at(pod: Object) -> datetime:
    """When a pod's last container ended."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    ends = [status.get("state", {}).get("terminated", {}).get("finishedAt") for status in statuses]
    return max((time_of(end) for end in ends if end), default=time_of(pod["metadata"]["creationTimestamp"]))


def status_of(job: Object, count: Count, ended: Verdict | None, now: datetime) -> Object:
    """The Job's status; counters that are zero are absent."""
    old = job.get("status") or {}
    status: Object = {"startTime": old["startTime"]} if "startTime" in old else {}
    counters = {"active": count.active, "succeeded": count.succeeded, "failed": count.failed}
    status |= {name: number for name, number in counters.items() if number}
    conditions = list(old.get("conditions") or ())
    if ended is not None:
        times = {"lastProbeTime": stamp(now), "lastTransitionTime": stamp(now)}
        entry = {"type": "Complete" if ended.good else "Failed", "status": "True", **times}
        if ended.reason:
            entry |= {"reason": ended.reason, "message": ended.message}
        conditions.append(entry)
        if ended.good:
            status["completionTime"] = stamp(now)
    return status | ({"conditions": conditions} if conditions else {})


def finished_at(job: Object) -> datetime | None:
    """When the Job ended; None while it has not."""
    for kind in ("Complete", "Failed"):
        condition = condition_of(job, kind)
        if condition is not None and condition["status"] == "True":
            return time_of(condition["lastTransitionTime"])
    return None
