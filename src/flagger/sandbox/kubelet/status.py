"""What a pod reports: its status from the state of its containers, as core/v1 PodStatus wants it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flagger.kube.objects import Object


def stamp(moment: datetime) -> str:
    """A time as the API writes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that does not run, and why."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    """A container that ran."""

    code: int
    reason: str
    started: datetime
    finished: datetime
    message: str = ""


State = Waiting | Running | Terminated
CREATING = Waiting("ContainerCreating")


@dataclass(slots=True)
class ContainerState:
    """One container as it is now."""

    name: str
    image: str
    state: State = CREATING
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    id: str = ""
    sidecar: bool = False
    """An init container that stays."""

    @property
    def has_run(self) -> bool:
        """Did it ever get to run?"""
        return not isinstance(self.state, Waiting) or self.last is not None

    @property
    def succeeded(self) -> bool:
        """Has it done its work, as an init container?"""
        ended_well = isinstance(self.state, Terminated) and self.state.code == 0
        return self.started if self.sidecar else ended_well


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod as it is now; addresses are "" until it has them."""

    init: Sequence[ContainerState]
    main: Sequence[ContainerState]
    started: datetime
    ip: str = ""
    host_ip: str = ""
    initialized: bool = False
    over: bool = False
    """No container will be started again."""
    verdict: tuple[str, str] | None = None
    """Reason and message of a pod that was ended from outside."""
    gates: Mapping[str, bool] = field(default_factory=dict)
    """Readiness gates, and whether somebody has opened them."""


def phase(pod: PodState) -> str:
    """Pending, Running, Succeeded or Failed."""
    if pod.verdict is not None:
        return "Failed"
    if pod.over:
        good = pod.initialized and all(
            isinstance(c.state, Terminated) and c.state.code == 0 for c in pod.main
        )
        return "Succeeded" if good else "Failed"
    return "Running" if pod.initialized and all(c.has_run for c in pod.main) else "Pending"


def pod_status(pod: PodState, old: Object, now: datetime) -> Object:
    """The fields of the status that a kubelet owns; conditions keep their times while they do not change."""
    status: Object = {
        "phase": phase(pod),
        "startTime": stamp(pod.started),
        "conditions": conditions(pod, {c["type"]: c for c in old.get("conditions") or ()}, now),
        "containerStatuses": [container_status(container) for container in pod.main],
    }
    if pod.host_ip:
        status |= {"hostIP": pod.host_ip, "hostIPs": [{"ip": pod.host_ip}]}
    if pod.ip:
        status |= {"podIP": pod.ip, "podIPs": [{"ip": pod.ip}]}
    if pod.init:
        status["initContainerStatuses"] = [container_status(container) for container in pod.init]
    if pod.verdict:
        status |= {"reason": pod.verdict[0], "message": pod.verdict[1]}
    return status


def conditions(pod: PodState, old: Mapping[str, Object], now: datetime) -> list[Object]:
    """Initialized, Ready, ContainersReady; others belong to others."""
    done = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase(pod), "")
    unready = [c.name for c in (*pod.init, *pod.main) if not c.ready and (c.sidecar or c not in pod.init)]
    closed = [gate for gate, is_open in pod.gates.items() if not is_open]
    if done:
        why, text = done, ""
    elif unready:
        why, text = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    else:
        why, text = "", ""
    ready = met("Ready", why=why, text=text)
    if closed and not why:
        ready = met("Ready", why="ReadinessGatesNotReady", text=f"not opened yet: [{' '.join(closed)}]")
    found = [initialized(pod, done), ready, met("ContainersReady", why=why, text=text)]
    return [with_time(entry, old.get(entry["type"]), now) for entry in found]


def initialized(pod: PodState, done: str) -> Object:
    """The condition that says whether the init containers have done their work."""
    if pod.initialized:
        completed: Object = {"reason": done} if done == "PodCompleted" else {}
        return met("Initialized") | completed
    names = " ".join(c.name for c in pod.init if not c.succeeded)
    text = f"containers with incomplete status: [{names}]"
    return met("Initialized", why="ContainersNotInitialized", text=text)


def met(kind: str, *, why: str = "", text: str = "") -> Object:
    """A condition that is met, or not if there is a reason why not."""
    texts = {key: value for key, value in (("reason", why), ("message", text)) if value}
    return {"type": kind, "status": "False" if why else "True", **texts}


def with_time(entry: Object, old: Object | None, now: datetime) -> Object:
    """A condition with the time of its last change."""
    unchanged = old is not None and old["status"] == entry["status"] and old.get("lastTransitionTime")
    changed = old["lastTransitionTime"] if old is not None and unchanged else stamp(now)
    # A merge by type would keep the texts of a condition that has become true.
    outdated = {key: None for key in ("reason", "message") if old is not None and key in old}
    return outdated | {"lastTransitionTime": changed} | entry


def container_status(container: ContainerState) -> Object:
    """An entry of `containerStatuses`."""
    status: Object = {
        "name": container.name,
        "state": state_of(container.state, container.id),
        "lastState": state_of(container.last, "") if container.last else {},
        "ready": container.ready,
        "restartCount": container.restarts,
        "image": container.image,
        "imageID": f"sandbox://{container.image}" if container.has_run else "",
        "started": container.started,
    }
    return status | ({"containerID": container.id} if container.id else {})


def state_of(state: State, container_id: str) -> Object:
    """A container's state as one of the three shapes of the API."""
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(since):
            return {"running": {"startedAt": stamp(since)}}
        case Terminated(code, reason, started, finished, message):
            texts = {"reason": reason} | ({"message": message} if message else {})
            times = {"startedAt": stamp(started), "finishedAt": stamp(finished)}
            identity = {"containerID": container_id} if container_id else {}
            return {"terminated": {"exitCode": code} | texts | times | identity}
