"""What all pods of the node share, and what one pod shares with its containers."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.objects import (
    CONFIG_MAP,
    NODE,
    POD,
    SECRET,
    SERVICE,
    Kind,
    Object,
    annotations_of,
    name_of,
    namespace_of,
)
from flagger.sandbox.events import EventRecorder
from flagger.sandbox.kubelet.environment import PodFacts, service_variables
from flagger.sandbox.kubelet.log_files import LogFiles
from flagger.sandbox.kubelet.processes import Processes

PROXY = "sandbox.flagger.app/http-proxy"  # annotation of the Node, written by the data plane
INHERITED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Machine:
    """The node's means: who starts processes, where things are, what the API server has."""

    client: Client
    processes: Processes
    recorder: EventRecorder
    logs: LogFiles
    caches: Mapping[Kind, Informer]
    """Of ConfigMaps, Secrets and Services."""
    folder: Path
    """Where the directories of pods are."""
    node_name: str
    host_ip: str
    capacity: Mapping[str, str]
    """What the node has of each resource, as quantities."""
    now: Callable[[], datetime]
    back_off: float
    """Seconds to wait before the second restart of a container, doubled for each later one."""

    def lookup(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """A ConfigMap or Secret as last seen."""
        assert kind in {CONFIG_MAP, SECRET}
        return self.caches[kind].get(namespace, name)

    def services(self) -> Sequence[Object]:
        """All Services as last seen."""
        return list(self.caches[SERVICE].items())

    def variables(self, pod: Object, ip: str) -> dict[str, str]:
        """What every container of a pod has in its environment, unless it says otherwise.

        `POD_IP` is the address to listen on: pods share the machine's ports.
        """
        found = {name: os.environ[name] for name in INHERITED if name in os.environ}
        found |= {"HOSTNAME": name_of(pod), "POD_IP": ip}
        visible = {"default": ["kubernetes"]} if namespace_of(pod) != "default" else {}
        links = pod["spec"].get("enableServiceLinks", True)
        for service in self.services():
            home, name = namespace_of(service), name_of(service)
            if name in visible.get(home, ()) or (links and home == namespace_of(pod)):
                found |= dict(service_variables([service]))
        if proxy := self.proxy():
            found |= {"http_proxy": proxy, "HTTP_PROXY": proxy}
        return found

    def proxy(self) -> str:
        """Where pods find an HTTP proxy that knows Services, if they cannot resolve their names; else ""."""
        node = self.caches[NODE].get(None, self.node_name) if NODE in self.caches else None
        return annotations_of(node).get(PROXY, "") if node else ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container gets from its pod."""

    machine: Machine
    facts: PodFacts
    folder: Path
    """The pod's own directory on the machine."""
    volumes: Mapping[str, Path]
    changed: Callable[[], None]
    """To be called when what a container reports has changed."""

    def event(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Report something that happened to the pod."""
        self.machine.recorder.record(POD, self.facts.pod, reason, message, warning=warning)
