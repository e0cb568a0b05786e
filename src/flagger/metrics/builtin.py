"""The built-in success rates and latencies: one row of query templates per kind of proxy or mesh.

Exact names, labels and formulas are upstream's; `docs/differences.md` names the rows that differ.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flagger.api.canary import QueryModel

# Pods of a Deployment end in the hash of their ReplicaSet and their own; a DaemonSet's only in their own.
# The pattern of a Deployment would find a DaemonSet's primary pods instead: `checkout-primary-x7k2p`.
_REPLICA_SET_PODS = "{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"
_DAEMON_SET_PODS = "{{ target }}-[0-9a-zA-Z]+"


def _same(model: QueryModel) -> QueryModel:
    return model


@dataclass(frozen=True, slots=True)
class Observer:
    """Query templates that judge the canary's requests."""

    requests: str
    """Rate of all requests, per second."""
    good: str
    """Rate of the requests that did not fail."""
    latency: str
    """Their latency: the 99th percentile, or the mean where buckets are missing."""
    in_seconds: bool = False
    """Whether `latency` yields seconds rather than milliseconds."""
    adapt: Callable[[QueryModel], QueryModel] = _same
    """What happens to the names before they are put in."""

    @property
    def success_rate(self) -> str:
        """Share of good requests in percent; without any good request there is no value."""
        return f"{self.good} / {self.requests} * 100"


def _rate(metric: str, *matchers: str) -> str:
    return f"sum(rate({metric}{{{','.join(matchers)}}}[{{{{ interval }}}}]))"


def _p99(metric: str, *matchers: str) -> str:
    return (
        f"histogram_quantile(0.99, sum by (le) (rate({metric}{{{','.join(matchers)}}}[{{{{ interval }}}}])))"
    )


def _mean(metric: str, *matchers: str) -> str:
    return f"{_rate(f'{metric}_sum', *matchers)} / {_rate(f'{metric}_count', *matchers)} * 1000"


def _http(pods: str) -> Observer:
    """What applications tell about themselves under the metric names of most HTTP instrumentation."""
    count, bucket = "http_request_duration_seconds_count", "http_request_duration_seconds_bucket"
    which = ('kubernetes_namespace="{{ namespace }}"', f'kubernetes_pod_name=~"{pods}"')
    good = _rate(count, *which, 'status!~"5.*"')
    return Observer(_rate(count, *which), good, _p99(bucket, *which), in_seconds=True)


def _envoy(*which: str) -> Observer:
    """What an Envoy tells about its upstream clusters."""
    count, bucket = "envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_time_bucket"
    good = _rate(count, *which, 'envoy_response_code!~"5.*"')
    return Observer(_rate(count, *which), good, _p99(bucket, *which))


def _appmesh(pods: str) -> Observer:
    return _envoy('kubernetes_namespace="{{ namespace }}"', f'kubernetes_pod_name=~"{pods}"')


def _istio() -> Observer:
    count, bucket = "istio_requests_total", "istio_request_duration_milliseconds_bucket"
    which = (
        'reporter="destination"',
        'destination_workload_namespace="{{ namespace }}"',
        'destination_workload=~"{{ target }}"',
    )
    good = _rate(count, *which, 'response_code!~"5.*"')
    return Observer(_rate(count, *which), good, _p99(bucket, *which))


def _linkerd() -> Observer:
    count, bucket = "response_total", "response_latency_ms_bucket"
    which = ('namespace="{{ namespace }}"', 'deployment=~"{{ target }}"', 'direction="inbound"')
    good = _rate(count, *which, 'classification!="failure"')
    return Observer(_rate(count, *which), good, _p99(bucket, *which))


def _osm() -> Observer:
    count, bucket = "osm_request_total", "osm_request_duration_ms_bucket"
    which = (
        'destination_namespace="{{ namespace }}"',
        'destination_kind="Deployment"',
        'destination_name="{{ target }}"',
    )
    good = _rate(count, *which, 'response_code!~"5.*"')
    return Observer(_rate(count, *which), good, _p99(bucket, *which))


def _nginx() -> Observer:
    count, duration = (
        "nginx_ingress_controller_requests",
        "nginx_ingress_controller_response_duration_seconds",
    )
    which = ('namespace="{{ namespace }}"', 'ingress="{{ ingress }}"', 'canary!=""')
    good = _rate(count, *which, 'status!~"5.*"')
    return Observer(_rate(count, *which), good, _mean(duration, *which))


def _skipper() -> Observer:
    bucket, duration = "skipper_response_duration_seconds_bucket", "skipper_serve_route_duration_seconds"
    name = "kube(ew)?_{{ namespace }}__{{ ingress }}_canary__.*__{{ service }}_canary(_[0-9]+)?"
    which = f'route=~"{name}"'
    requests = _rate(bucket, which, 'le="+Inf"')
    good = _rate(bucket, which, 'code!~"5.."', 'le="+Inf"')
    return Observer(requests, good, _mean(duration, which), adapt=_skipper_names)


def _skipper_names(model: QueryModel) -> QueryModel:
    """Write names as Skipper does in its route ids: only letters, digits and `_`."""

    def plain(name: str) -> str:
        return re.sub(r"[^0-9A-Za-z_]", "_", name)

    return replace(
        model,
        name=plain(model.name),
        namespace=plain(model.namespace),
        target=plain(model.target),
        service=plain(model.service),
        ingress=plain(model.ingress),
    )


def _traefik() -> Observer:
    bucket = "traefik_service_request_duration_seconds_bucket"
    which = 'service=~"{{ namespace }}-{{ service }}-canary-[0-9a-zA-Z-]+@kubernetescrd"'
    requests = _rate(bucket, which, 'le="+Inf"')
    good = _rate(bucket, which, 'code!~"5.."', 'le="+Inf"')
    return Observer(requests, good, f"{_p99(bucket, which)} * 1000")


def _apisix() -> Observer:
    which = 'route=~"{{ namespace }}_{{ route }}-{{ service }}-canary_.+"'
    good = _rate("apisix_http_status", which, 'code!~"5.."')
    latency = _p99("apisix_http_latency_bucket", 'type=~"request"', which)
    return Observer(_rate("apisix_http_status", which), good, latency)


OBSERVERS: Mapping[str, Observer] = {
    "apisix": _apisix(),
    "appmesh": _appmesh(_REPLICA_SET_PODS),
    "contour": _envoy('envoy_cluster_name=~"{{ namespace }}_{{ service }}-canary_[0-9a-zA-Z-]+"'),
    "gatewayapi": _http(_REPLICA_SET_PODS),
    "gloo": _envoy(
        'envoy_cluster_name=~"{{ namespace }}-{{ service }}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"'
    ),
    "istio": _istio(),
    "knative": _envoy('envoy_cluster_name=~"{{ namespace }}/{{ route }}"'),
    "kubernetes": _http(_REPLICA_SET_PODS),
    "kuma": _envoy('service=~"{{ service }}-canary_{{ namespace }}_svc_[0-9a-zA-Z-]+"'),
    "linkerd": _linkerd(),
    "nginx": _nginx(),
    "osm": _osm(),
    "skipper": _skipper(),
    "traefik": _traefik(),
}
"""By provider string, without version and suffix."""

DAEMON_SET_OBSERVERS: Mapping[str, Observer] = {
    "appmesh": _appmesh(_DAEMON_SET_PODS),
    "gatewayapi": _http(_DAEMON_SET_PODS),
    "kubernetes": _http(_DAEMON_SET_PODS),
}
"""Rows that differ when the target is a DaemonSet."""

_FAMILIES = ("appmesh", "gatewayapi", "gloo")
"""Provider strings that may go on behind these words, as in `gatewayapi:v1`."""

_ALIASES = (
    (re.compile(r"smi:linkerd"), "linkerd"),
    (re.compile(r"smi:.*|crossover"), "istio"),
)
"""Provider strings that have no row of their own; the first match counts."""


def observer_for(provider: str, target_kind: str) -> Observer | None:
    """Return the built-in queries for a provider string, or None when no row knows it.

    The suffix `:service`, which marks a Service as the target, does not choose other queries.
    """
    bare = provider.removesuffix(":service")
    family = next((name for name in _FAMILIES if bare.startswith(name)), bare)
    family = next((name for pattern, name in _ALIASES if pattern.fullmatch(bare)), family)
    if target_kind == "DaemonSet" and family in DAEMON_SET_OBSERVERS:
        return DAEMON_SET_OBSERVERS[family]
    return OBSERVERS.get(family)
