"""What a pod was before this node's processes were lost: the processes are gone, history goes on. Pure."""

from datetime import UTC, datetime

from flagger.kube.objects import Object
from flagger.sandbox.kubelet.status import CREATING, ContainerState, Terminated

LOST = 255  # exit code of a container whose end nobody saw


def state_of_earlier_life(pod: Object, spec: Object, policy: str, now: datetime) -> ContainerState:
    """The state that a container of a pod begins with; for a new pod: not created yet."""
    state = ContainerState(spec["name"], spec.get("image", ""))
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    entry = next((entry for entry in entries if entry.get("name") == spec["name"]), None)
    if entry is None or not entry.get("containerID"):
        return state
    state.restarts = entry.get("restartCount", 0)
    ended = terminated(entry.get("state", {}).get("terminated"), now)
    if ended is not None:
        state.state = ended
        return state
    lost = Terminated(LOST, "Unknown", time_of(status.get("startTime"), now), now)
    if policy == "Never":
        state.state = lost
    else:
        state.state, state.last, state.restarts = CREATING, lost, state.restarts + 1
    return state


def terminated(entry: Object | None, now: datetime) -> Terminated | None:
    """A `terminated` state of the API."""
    if not entry:
        return None
    started, finished = time_of(entry.get("startedAt"), now), time_of(entry.get("finishedAt"), now)
    return Terminated(entry.get("exitCode", LOST), entry.get("reason", ""), started, finished)


def time_of(text: str | None, default: datetime) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else default
