"""Which pods and proxies are scraped, and the labels their series get; pure, from cluster objects.

The rules are those of the widespread `kubernetes-pods` and `kubernetes-service-endpoints` scrape jobs:
annotations `prometheus.io/scrape`, `port`, `path` and `scheme`; labels of the object under sanitised names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flagger.kube.objects import Object, annotations_of, labels_of, name_of, namespace_of
from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.labels import labels_of as label_set

ENVOY_ANNOTATION = "sandbox.flagger.app/envoy-metrics"
"""On a Node: where the data plane's statistics are, a URL without its scheme."""
ENVOY_PATH = "/stats/prometheus"

_NOT_IN_LABEL_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_TRUE = "true"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that exposes metrics over HTTP."""

    labels: Labels
    """What every series of the target carries; no two targets have the same."""
    address: str
    """`host:port`."""
    path: str = "/metrics"
    """With the query string, if there is one."""
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"{self.scheme}://{self.address}{self.path}"


def targets_of(
    pods: Iterable[Object], services: Iterable[Object], nodes: Iterable[Object]
) -> frozenset[Target]:
    """Everything that is to be scraped; pods count while they run, whether ready or not."""
    running = [pod for pod in pods if _is_running(pod)]
    found: dict[Labels, Target] = {}
    for target in (
        *(target for pod in running for target in _pod_targets(pod)),
        *(target for service in services for target in _service_targets(service, running)),
        *(target for node in nodes for target in _envoy_targets(node)),
    ):
        found.setdefault(target.labels, target)  # containers may share the port that an annotation names
    return frozenset(found.values())


def _is_running(pod: Object) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def _pod_targets(pod: Object) -> Iterator[Target]:
    annotations = annotations_of(pod)
    if annotations.get("prometheus.io/scrape") != _TRUE:
        return
    labels = _mapped(labels_of(pod)) | {
        "job": "kubernetes-pods",
        "kubernetes_namespace": namespace_of(pod),
        "kubernetes_pod_name": name_of(pod),
        "namespace": namespace_of(pod),
        "pod": name_of(pod),
    }
    for address in _addresses(pod, annotations):
        yield _target(labels, address, annotations)


def _service_targets(service: Object, pods: Iterable[Object]) -> Iterator[Target]:
    """The pods behind a Service; those without a selector have none that we know."""
    annotations = annotations_of(service)
    selector = (service.get("spec") or {}).get("selector") or {}
    if annotations.get("prometheus.io/scrape") != _TRUE or not selector:
        return
    labels = _mapped(labels_of(service)) | {
        "job": "kubernetes-service-endpoints",
        "kubernetes_namespace": namespace_of(service),
        "kubernetes_name": name_of(service),
        "namespace": namespace_of(service),
        "service": name_of(service),
    }
    for pod in pods:
        if namespace_of(pod) == namespace_of(service) and selector.items() <= labels_of(pod).items():
            for address in _addresses(pod, annotations):
                yield _target(labels, address, annotations)


def _envoy_targets(node: Object) -> Iterator[Target]:
    address, slash, path = annotations_of(node).get(ENVOY_ANNOTATION, "").partition("/")
    if address:
        labels = label_set({"job": "envoy", "instance": address, "node": name_of(node)})
        yield Target(labels, address, f"/{path}" if slash else ENVOY_PATH)


def _target(labels: Mapping[str, str], address: str, annotations: Mapping[str, str]) -> Target:
    path = annotations.get("prometheus.io/path") or "/metrics"
    scheme = annotations.get("prometheus.io/scheme")
    return Target(
        label_set({**labels, "instance": address}),
        address,
        path if path.startswith("/") else f"/{path}",
        scheme if scheme in {"http", "https"} else "http",
    )


def _addresses(pod: Object, annotations: Mapping[str, str]) -> Iterator[str]:
    """The annotated port, else every port that a container declares, else the default of HTTP."""
    ip = pod["status"]["podIP"]
    host = f"[{ip}]" if ":" in ip else ip
    port = annotations.get("prometheus.io/port", "")
    if port.isdecimal():
        yield f"{host}:{port}"
        return
    containers = (pod.get("spec") or {}).get("containers") or []
    declared = [port["containerPort"] for container in containers for port in container.get("ports") or []]
    for number in declared or [80]:
        yield f"{host}:{number}"


def _mapped(labels: Mapping[str, str]) -> dict[str, str]:
    return {_NOT_IN_LABEL_NAMES.sub("_", name): value for name, value in labels.items()}
