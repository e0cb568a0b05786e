"""A Deployment's status: counters and conditions from its ReplicaSets; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flagger.kube.objects import Object, name_of
from flagger.sandbox.controllers.pods import condition_of, stamp, time_of
from flagger.sandbox.controllers.sizes import available, limits_of, total, wanted

COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
NEVER = 2**31 - 1  # a deadline of this many seconds means that there is none


def counters(deployment: Object, sets: Sequence[Object], new: Object | None) -> Object:
    """The counters; those that are zero are absent."""
    found = {
        "replicas": sum(count(one, "replicas") for one in sets),
        "updatedReplicas": count(new, "replicas") if new else 0,
        "readyReplicas": sum(count(one, "readyReplicas") for one in sets),
        "availableReplicas": sum(available(one) for one in sets),
        "unavailableReplicas": max(0, total(sets) - sum(available(one) for one in sets)),
    }
    collisions = deployment.get("status", {}).get("collisionCount", 0)
    kept = {name: number for name, number in {**found, "collisionCount": collisions}.items() if number}
    return {"observedGeneration": deployment["metadata"].get("generation", 1), **kept}


def count(one: Object, name: str) -> int:
    """A counter in a status."""
    return int(one.get("status", {}).get(name, 0))


def status_of(
    deployment: Object, sets: Sequence[Object], new: Object | None, now: datetime, *, rolling: bool
) -> Object:
    """The status; `rolling` is False while only the size is looked after (paused, being scaled)."""
    status = counters(deployment, sets, new)
    conditions = list(deployment.get("status", {}).get("conditions") or ())
    conditions = set_condition(conditions, availability(deployment, status, now))
    if rolling:
        conditions = with_progress(deployment, status, conditions, new, now)
        conditions = with_failure(conditions, sets, now)
    return {**status, "conditions": conditions}


def availability(deployment: Object, status: Object, now: datetime) -> Object:
    """The condition Available."""
    limits = limits_of(deployment)
    if status.get("availableReplicas", 0) >= limits.replicas - limits.unavailable:
        text = "Deployment has minimum availability."
        return condition("Available", "True", "MinimumReplicasAvailable", text, now)
    text = "Deployment does not have minimum availability."
    return condition("Available", "False", "MinimumReplicasUnavailable", text, now)


def with_progress(
    deployment: Object, status: Object, conditions: list[Object], new: Object | None, now: datetime
) -> list[Object]:
    """The conditions with Progressing brought up to date."""
    if not has_deadline(deployment):
        return [entry for entry in conditions if entry["type"] != "Progressing"]
    known = condition_of(deployment, "Progressing")
    settled = known is not None and known["reason"] == COMPLETE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return conditions  # a finished rollout stays finished, whatever becomes of its pods
    name = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        text = f"{name} has successfully progressed."
        return set_condition(conditions, condition("Progressing", "True", COMPLETE, text, now))
    if has_progressed(deployment.get("status", {}), status):
        entry = condition("Progressing", "True", "ReplicaSetUpdated", f"{name} is progressing.", now)
        return set_condition(conditions, entry, renew=True)
    if known is not None and deadline_left(deployment, now) < 0:
        entry = condition("Progressing", "False", TIMED_OUT, f"{name} has timed out progressing.", now)
        return set_condition(conditions, entry)
    return conditions


def is_complete(deployment: Object, status: Object) -> bool:
    """Are all pods of the current template, and available?"""
    replicas = wanted(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(name, 0) == replicas for name in names)


def has_progressed(old: Object, new: Object) -> bool:
    """Has something grown that should grow, or shrunk that should shrink?"""
    fewer_old = outdated(new) < outdated(old)
    growing = ("updatedReplicas", "readyReplicas", "availableReplicas")
    grown = any(int(new.get(name, 0)) > int(old.get(name, 0)) for name in growing)
    return grown or fewer_old


def outdated(status: Object) -> int:
    """How many pods are not of the current template."""
    return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))


def has_deadline(deployment: Object) -> bool:
    """Does the Deployment want to know when it does not get on?"""
    return bool(deployment["spec"].get("progressDeadlineSeconds", NEVER) != NEVER)


def deadline_left(deployment: Object, now: datetime) -> float:
    """Seconds until the progress deadline; infinite when there is none, or nothing to wait for."""
    known = condition_of(deployment, "Progressing")
    if not has_deadline(deployment) or known is None or known["reason"] in {COMPLETE, TIMED_OUT, PAUSED}:
        return float("inf")
    since = time_of(known.get("lastUpdateTime") or known["lastTransitionTime"])
    deadline = timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"])
    return (since + deadline - now).total_seconds()


def with_failure(conditions: list[Object], sets: Sequence[Object], now: datetime) -> list[Object]:
    """The conditions with that of a set whose pods cannot be created, if there is one."""
    failures = [entry for one in sets if (entry := condition_of(one, "ReplicaFailure"))]
    if not failures:
        return [entry for entry in conditions if entry["type"] != "ReplicaFailure"]
    first = failures[-1]
    entry = condition("ReplicaFailure", first["status"], first["reason"], first.get("message", ""), now)
    return set_condition(conditions, entry)


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A condition as it is when it has just come about."""
    times = {"lastUpdateTime": stamp(now), "lastTransitionTime": stamp(now)}
    return {"type": kind, "status": status, **times, "reason": reason, "message": message}


def set_condition(conditions: Sequence[Object], entry: Object, *, renew: bool = False) -> list[Object]:
    """The conditions with one replaced, which moves to the end; unchanged if status and reason are the same.

    `renew` brings its `lastUpdateTime` up to date even then. `lastTransitionTime` moves with the status only.
    """
    known = next((old for old in conditions if old["type"] == entry["type"]), None)
    if known is not None and known["status"] == entry["status"]:
        if known["reason"] == entry["reason"] and not renew:
            return list(conditions)
        entry = {**entry, "lastTransitionTime": known.get("lastTransitionTime", entry["lastTransitionTime"])}
    return [old for old in conditions if old["type"] != entry["type"]] + [entry]
