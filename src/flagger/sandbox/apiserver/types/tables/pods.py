"""Columns of pods: how far they are, in one word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.tables.base import AGE, NAME, NONE, Column, Object, at, member, wide

Status = Mapping[str, Any]


def ready(pod: Object, _now: datetime) -> str:
    """Return `ready/all` containers."""
    statuses: Sequence[Status] = member(pod, "status", "containerStatuses") or ()
    count = sum(1 for item in statuses if item.get("ready") and member(item, "state", "running") is not None)
    return f"{count}/{len(member(pod, 'spec', 'containers') or ())}"


def restarts(pod: Object, _now: datetime) -> int:
    """Return how often containers were restarted; those of the initialization only while it goes on."""
    initial: Sequence[Status] = member(pod, "status", "initContainerStatuses") or ()
    if _unfinished(initial) is not None:
        return sum(item.get("restartCount", 0) for item in initial)
    return sum(item.get("restartCount", 0) for item in member(pod, "status", "containerStatuses") or ())


def _unfinished(statuses: Sequence[Status]) -> int | None:
    for index, item in enumerate(statuses):
        ended = member(item, "state", "terminated")
        if ended is None or ended.get("exitCode", 0) != 0:
            return index
    return None


def status(pod: Object, _now: datetime) -> str:
    """Return the state of a pod in one word, the way `kubectl get` does."""
    word = str(member(pod, "status", "reason") or member(pod, "status", "phase") or "")
    initial: Sequence[Status] = member(pod, "status", "initContainerStatuses") or ()
    current = _unfinished(initial)
    if current is not None:
        word = _initializing(initial[current], current, len(member(pod, "spec", "initContainers") or ()))
    else:
        word = _running(pod, word)
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if member(pod, "status", "reason") == "NodeLost" else "Terminating"
    return word


def _initializing(item: Status, index: int, count: int) -> str:
    ended, waiting = member(item, "state", "terminated"), member(item, "state", "waiting")
    if ended is not None:
        return f"Init:{_ending(ended)}"
    reason = (waiting or {}).get("reason", "")
    return f"Init:{reason}" if reason not in {"", "PodInitializing"} else f"Init:{index}/{count}"


def _ending(ended: Status) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _running(pod: Object, word: str) -> str:
    """Let the first container that waits or has ended name the state."""
    some_running = False
    for item in reversed(member(pod, "status", "containerStatuses") or ()):
        waiting, ended = member(item, "state", "waiting"), member(item, "state", "terminated")
        if waiting is not None and waiting.get("reason"):
            word = str(waiting["reason"])
        elif ended is not None:
            word = _ending(ended)
        elif item.get("ready") and member(item, "state", "running") is not None:
            some_running = True
    if word == "Completed" and some_running:
        return "Running" if _is_ready(pod) else "NotReady"
    return word


def _is_ready(pod: Object) -> bool:
    conditions = member(pod, "status", "conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def gates(pod: Object, _now: datetime) -> str:
    """Return how many readiness gates are passed."""
    wanted = [item.get("conditionType") for item in member(pod, "spec", "readinessGates") or ()]
    if not wanted:
        return NONE
    conditions = member(pod, "status", "conditions") or ()
    passed = {item.get("type") for item in conditions if item.get("status") == "True"}
    return f"{sum(1 for gate in wanted if gate in passed)}/{len(wanted)}"


FINISHED: Mapping[str, Object] = {
    "Succeeded": {
        "type": "Completed",
        "status": "True",
        "reason": "Succeeded",
        "message": "The pod has completed successfully.",
    },
    "Failed": {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."},
}
"""Phase → condition of the row, by which clients hide finished pods."""


def row_conditions(pod: Object) -> list[Object]:
    """Return the conditions of a pod's row."""
    finished = FINISHED.get(str(member(pod, "status", "phase")))
    return [dict(finished)] if finished else []


POD = (
    NAME,
    Column("Ready", ready, description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", status, description="The aggregate status of the containers in this pod."),
    Column("Restarts", restarts, "integer"),
    AGE,
    wide("IP", at("status", "podIP", default=NONE)),
    wide("Node", at("spec", "nodeName", default=NONE)),
    wide("Nominated Node", at("status", "nominatedNodeName", default=NONE)),
    wide("Readiness Gates", gates),
)
