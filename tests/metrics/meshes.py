"""What each proxy and mesh tells of a canary and its primary, as series with rates that are easy to add up.

The canary gets 100 requests a second, of which 3 fail; the primary gets a thousand, all of which fail and are slow.
Names differ as much as they can: the target is `checkout`, its Service `web`, the Ingress `edge`, the route `edge-rt`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

GOOD, BAD = 97.0, 3.0  # per second
RATE = 97.0  # percent
BOUNDS = (0.1, 0.5, 1.0, float("inf"))  # seconds
GOOD_UP_TO, BAD_UP_TO = (50.0, 95.0, 97.0, 97.0), (0.0, 1.0, 3.0, 3.0)  # per second, up to each bound
P99 = 0.5 + (1.0 - 0.5) * (99 - 96) / (
    100 - 96
)  # the 99th of 100, where 96 take up to 0.5 s and 100 up to 1 s
MEAN = 0.2  # seconds
FLOOD = 1000.0  # per second, what must not be counted

Labels = dict[str, str]


@dataclass(frozen=True)
class Mesh:
    """One kind of proxy with one kind of target."""

    provider: str
    requests: str
    """The counter, or `…_bucket` of a histogram whose last bucket counts."""
    code: tuple[str, str, str]
    """The label of the outcome, its good and its bad value."""
    latency: str
    """The histogram, without suffix."""
    canary: Labels
    others: tuple[Labels, ...]
    """What must not be counted, such as the primary."""
    kind: str = "Deployment"
    millis: bool = True
    """Whether the histogram is in milliseconds."""
    mean: bool = False
    """Whether the mean is what is judged."""

    @property
    def expected(self) -> float:
        """The latency in seconds."""
        return MEAN if self.mean else P99


def _pods(provider: str, kind: str, **more: object) -> Mesh:
    suffix = "x7k2p" if kind == "DaemonSet" else "7c9d8f-abcde"
    here = {"kubernetes_namespace": "{ns}"}
    canary = {**here, "kubernetes_pod_name": f"checkout-{suffix}"}
    others = (
        {**here, "kubernetes_pod_name": f"checkout-primary-{suffix}"},
        {"kubernetes_namespace": "other", "kubernetes_pod_name": f"checkout-{suffix}"},
    )
    return Mesh(provider, canary=canary, others=others, kind=kind, **more)  # type: ignore[arg-type]


def _http(provider: str, kind: str) -> Mesh:
    name = "http_request_duration_seconds"
    return _pods(
        provider, kind, requests=f"{name}_count", code=("status", "200", "503"), latency=name, millis=False
    )


_ENVOY = {
    "requests": "envoy_cluster_upstream_rq",
    "code": ("envoy_response_code", "404", "500"),
    "latency": "envoy_cluster_upstream_rq_time",
}


def _envoy(provider: str, label: str, canary: str, *others: str) -> Mesh:
    return Mesh(provider, canary={label: canary}, others=tuple({label: name} for name in others), **_ENVOY)  # type: ignore[arg-type]


def _istio(kind: str, what: str, canary: str) -> Mesh:
    here = {"reporter": "destination", f"destination_{what}_namespace": "{ns}"}
    name = f"destination_{what}" if what == "workload" else "destination_service_name"
    mine = {**here, name: canary}
    others = ({**here, name: "checkout-primary"}, {**mine, "reporter": "source"})
    code = ("response_code", "200", "502")
    duration = "istio_request_duration_milliseconds"
    provider = "istio:service" if kind == "Service" else "istio"
    return Mesh(provider, "istio_requests_total", code, duration, mine, others, kind)


def _linkerd(kind: str, canary: Labels, primary: Labels) -> Mesh:
    code = ("classification", "success", "failure")
    return Mesh("linkerd", "response_total", code, "response_latency_ms", canary, (primary,), kind)


def _linkerd_pods(kind: str) -> Mesh:
    here = {"namespace": "{ns}", "direction": "inbound"}
    label = kind.lower()
    return _linkerd(kind, {**here, label: "checkout"}, {**here, label: "checkout-primary"})


def _osm(kind: str) -> Mesh:
    here = {"destination_namespace": "{ns}", "destination_kind": kind}
    canary, primary = ({**here, "destination_name": name} for name in ("checkout", "checkout-primary"))
    code = ("response_code", "200", "500")
    return Mesh("osm", "osm_request_total", code, "osm_request_duration_ms", canary, (primary,), kind)


_OUTBOUND = {"dst_namespace": "{ns}", "direction": "outbound"}
_INGRESS = {"namespace": "{ns}", "ingress": "edge"}
_SKIPPER = "kube_{ns}__edge{canary}__shop_example__web_{side}_0"

MESHES = (
    *(
        _http(provider, kind)
        for provider in ("kubernetes", "gatewayapi:v1")
        for kind in ("Deployment", "DaemonSet")
    ),
    _http("kubernetes:service", "Service"),
    *(_pods("appmesh", kind, **_ENVOY) for kind in ("Deployment", "DaemonSet")),
    *(_istio(kind, "workload", "checkout") for kind in ("Deployment", "DaemonSet")),
    _istio("Service", "service", "checkout-canary"),
    *(_linkerd_pods(kind) for kind in ("Deployment", "DaemonSet")),
    _linkerd(
        "Service",
        {**_OUTBOUND, "dst_service": "checkout-canary"},
        {**_OUTBOUND, "dst_service": "checkout-primary"},
    ),
    *(_osm(kind) for kind in ("Deployment", "DaemonSet")),
    _envoy(
        "contour", "envoy_cluster_name", "{ns}_web-canary_80", "{ns}_web-primary_80", "other_web-canary_80"
    ),
    _envoy(
        "gloo",
        "envoy_cluster_name",
        "{ns}-web-canaryupstream-80_gloo-system",
        "{ns}-web-primaryupstream-80_gloo-system",
    ),
    _envoy("kuma", "service", "web-canary_{ns}_svc_80", "web-primary_{ns}_svc_80", "web-canary_other_svc_80"),
    _envoy("knative", "envoy_cluster_name", "{ns}/edge-rt", "{ns}/edge-rt-00001"),
    Mesh(
        "nginx",
        "nginx_ingress_controller_requests",
        ("status", "200", "503"),
        "nginx_ingress_controller_response_duration_seconds",
        {**_INGRESS, "canary": "edge-canary"},
        ({**_INGRESS, "canary": ""}, {**_INGRESS, "canary": "edge-canary", "ingress": "rim"}),
        millis=False,
        mean=True,
    ),
    Mesh(
        "skipper",
        "skipper_response_duration_seconds_bucket",
        ("code", "200", "503"),
        "skipper_serve_route_duration_seconds",
        {"route": _SKIPPER.format(ns="{ns}", canary="_canary", side="canary")},
        ({"route": _SKIPPER.format(ns="{ns}", canary="", side="primary")},),
        millis=False,
        mean=True,
    ),
    Mesh(
        "traefik",
        "traefik_service_request_duration_seconds_bucket",
        ("code", "200", "503"),
        "traefik_service_request_duration_seconds",
        {"service": "{ns}-web-canary-80@kubernetescrd"},
        ({"service": "{ns}-web-primary-80@kubernetescrd"},),
        millis=False,
    ),
    Mesh(
        "apisix",
        "apisix_http_status",
        ("code", "200", "503"),
        "apisix_http_latency",
        {"route": "{ns}_edge-rt-web-canary_0", "type": "request"},
        ({"route": "{ns}_edge-rt_0", "type": "request"},),
    ),
)
"""A row for every built-in query and every kind of target that it serves."""


def namespace_of(mesh: Mesh) -> str:
    """Each row has a namespace to itself."""
    return f"n{MESHES.index(mesh)}"


def rates(mesh: Mesh) -> Iterator[tuple[Labels, float]]:
    """All series of a row with their increase per second."""
    label, good, bad = mesh.code
    last = {"le": "+Inf"} if mesh.requests.endswith("_bucket") else {}
    shared = mesh.requests == f"{mesh.latency}_bucket"
    for outcome, rate, bad_rate in ((good, GOOD, 0.0), (bad, BAD, FLOOD)):
        coded = {"__name__": mesh.requests, label: outcome, **last}
        if not shared:
            yield _named(mesh, {**coded, **mesh.canary}), rate
        for other in mesh.others:
            yield _named(mesh, {**coded, **other}), bad_rate
    for index, bound in enumerate(BOUNDS):
        bucket = {"__name__": f"{mesh.latency}_bucket", "le": _bound(mesh, bound)}
        parts = ((good, GOOD_UP_TO[index]), (bad, BAD_UP_TO[index]))
        if shared:
            for outcome, rate in parts:
                yield _named(mesh, {**bucket, **mesh.canary, label: outcome}), rate
        else:
            yield _named(mesh, {**bucket, **mesh.canary}), sum(rate for _, rate in parts)
            for other in mesh.others:
                yield _named(mesh, {**bucket, **other}), FLOOD * (bound == float("inf"))
    scale = 1000 if mesh.millis else 1
    for side, count, mean in (
        (mesh.canary, GOOD + BAD, MEAN),
        *((other, FLOOD, 9.0) for other in mesh.others),
    ):
        if mesh.mean:
            yield _named(mesh, {"__name__": f"{mesh.latency}_count", **side}), count
            yield _named(mesh, {"__name__": f"{mesh.latency}_sum", **side}), count * mean * scale


def _bound(mesh: Mesh, bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound * (1000 if mesh.millis else 1):g}"


def _named(mesh: Mesh, labels: Mapping[str, str]) -> Labels:
    return {key: value.replace("{ns}", namespace_of(mesh)) for key, value in labels.items() if value}
