"""How the proxies of each family call and count their requests; a row each.

Names and labels: the metrics reference of each project, for the series that the built-in queries of releases use.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flagger.sandbox.dataplane.telemetry.counted import Counted

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""A series' name, its labels, its value."""

MS_PER_SECOND = 1000.0


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family's series.

    `requests` is the name of the counter, empty where the histogram counts; `coded` makes the labels that tell
    a response code. `durations` are the names of the histograms, in seconds where `seconds` says so; `split`
    says whether they carry the code too, and `fixed` what other labels they have.
    """

    coded: Callable[[str], Labels]
    requests: str = ""
    durations: tuple[str, ...] = ()
    seconds: bool = False
    split: bool = False
    fixed: tuple[tuple[str, str], ...] = ()

    def samples(self, seen: Counted, labels: Labels) -> Iterator[Sample]:
        """The series of one cluster's requests."""
        if self.requests:
            for code, number in seen.codes.items():
                yield self.requests, {**labels, **self.coded(code)}, number
        for name in self.durations:
            yield from self._histograms(name, seen, {**labels, **dict(self.fixed)})

    def _histograms(self, name: str, seen: Counted, labels: Labels) -> Iterator[Sample]:
        if not self.split:
            yield from self._histogram(name, seen, labels, seen.timed)
            return
        for code, number in seen.codes.items():
            yield from self._histogram(name, seen, {**labels, **self.coded(code)}, number)

    def _histogram(self, name: str, seen: Counted, labels: Labels, number: int) -> Iterator[Sample]:
        """The durations of `number` requests: Envoy times all codes together, so each gets its share."""
        share, unit = (number / seen.timed if seen.timed else 0.0), (MS_PER_SECOND if self.seconds else 1.0)
        for bound, below in seen.buckets.items():
            if bound != "+Inf":
                yield f"{name}_bucket", {**labels, "le": f"{float(bound) / unit:g}"}, below * share
        yield f"{name}_bucket", {**labels, "le": "+Inf"}, number
        yield f"{name}_sum", labels, seen.total_ms * share / unit
        yield f"{name}_count", labels, number


def under(name: str) -> Callable[[str], Labels]:
    """The response code as a label of this name."""
    return lambda code: {name: code}


def classified(code: str) -> Labels:
    """Linkerd's own judgement beside the code."""
    return {"status_code": code, "classification": "failure" if code.startswith("5") else "success"}


ENVOY = Dialect(
    under("envoy_response_code"),
    requests="envoy_cluster_upstream_rq",
    durations=("envoy_cluster_upstream_rq_time",),
)

DIALECTS: Mapping[str, Dialect] = {
    "apisix": Dialect(
        under("code"),
        requests="apisix_http_status",
        durations=("apisix_http_latency",),
        fixed=(("type", "request"),),
    ),
    "appmesh": ENVOY,
    "gloo": ENVOY,
    "istio": Dialect(
        under("response_code"),
        requests="istio_requests_total",
        durations=("istio_request_duration_milliseconds",),
        split=True,
    ),
    "knative": ENVOY,
    "kuma": ENVOY,
    "linkerd": Dialect(classified, requests="response_total", durations=("response_latency_ms",), split=True),
    "nginx": Dialect(
        under("status"),
        requests="nginx_ingress_controller_requests",
        durations=("nginx_ingress_controller_response_duration_seconds",),
        seconds=True,
        split=True,
    ),
    "osm": Dialect(
        under("response_code"), requests="osm_request_total", durations=("osm_request_duration_ms",)
    ),
    "skipper": Dialect(
        under("code"),
        durations=("skipper_response_duration_seconds", "skipper_serve_route_duration_seconds"),
        seconds=True,
        split=True,
    ),
    "traefik": Dialect(
        under("code"), durations=("traefik_service_request_duration_seconds",), seconds=True, split=True
    ),
}
"""By the family of `families.py`. Contour's Envoy calls its clusters as the data plane does, and needs no row."""
