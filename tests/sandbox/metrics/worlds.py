"""Generated targets with everything that makes series irregular, as expositions over time.

A world is one namespace with pods and proxies that expose the metrics of every built-in query. It is a pure
function of its seed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.store import SeriesStore
from tests.sandbox.metrics.oracle import STALE

EPOCH = 1_700_000_000_000
"""When all worlds begin, ms."""
SCRAPES = 80
BOUNDS = ("0.005", "0.05", "0.5", "5", "50.0", "+Inf")
CODES = ("200", "404", "500", "503", "error")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its labels; `{ns}` stands for the world's namespace."""

    name: str
    labels: tuple[tuple[str, str], ...]
    code: str = ""
    """The label that carries the response code."""
    histogram: bool = False


FAMILIES = (
    Family("http_request_duration_seconds", (("path", "api"),), "status", histogram=True),
    Family(
        "istio_requests_total",
        (
            ("reporter", "destination"),
            ("destination_workload_namespace", "{ns}"),
            ("destination_workload", "checkout"),
        ),
        "response_code",
    ),
    Family(
        "istio_request_duration_milliseconds",
        (
            ("reporter", "destination"),
            ("destination_workload_namespace", "{ns}"),
            ("destination_workload", "checkout"),
        ),
        histogram=True,
    ),
    Family("response_total", (("deployment", "checkout"), ("direction", "inbound")), "classification"),
    Family("response_latency_ms", (("deployment", "checkout"), ("direction", "inbound")), histogram=True),
    *(
        family
        for labels in (
            (("envoy_cluster_name", "{ns}_checkout-canary_80"),),
            (("envoy_cluster_name", "{ns}-checkout-canaryupstream-80_gloo-system"),),
            (("service", "checkout-canary_{ns}_svc_80"),),
            (("envoy_cluster_name", "{ns}/checkout-00001"),),
        )
        for family in (
            Family("envoy_cluster_upstream_rq", labels, "envoy_response_code"),
            Family("envoy_cluster_upstream_rq_time", labels, histogram=True),
        )
    ),
    Family(
        "osm_request_total",
        (
            ("destination_namespace", "{ns}"),
            ("destination_kind", "Deployment"),
            ("destination_name", "checkout"),
        ),
        "response_code",
    ),
    Family(
        "osm_request_duration_ms",
        (
            ("destination_namespace", "{ns}"),
            ("destination_kind", "Deployment"),
            ("destination_name", "checkout"),
        ),
        histogram=True,
    ),
    Family("nginx_ingress_controller_requests", (("ingress", "edge"), ("canary", "edge-canary")), "status"),
    Family(
        "nginx_ingress_controller_response_duration_seconds",
        (("ingress", "edge"), ("canary", "edge-canary")),
        histogram=True,
    ),
    Family(
        "skipper_response_duration_seconds",
        (("route", "kube_{ns}__edge_canary__shop_example__checkout_canary_0"),),
        "code",
        histogram=True,
    ),
    Family(
        "skipper_serve_route_duration_seconds",
        (("route", "kube_{ns}__edge_canary__shop_example__checkout_canary_0"),),
        histogram=True,
    ),
    Family(
        "traefik_service_request_duration_seconds",
        (("service", "{ns}-checkout-canary-80@kubernetescrd"),),
        "code",
        histogram=True,
    ),
    Family("apisix_http_status", (("route", "{ns}_edge-rt-checkout-canary_0"),), "code"),
    Family(
        "apisix_http_latency",
        (("type", "request"), ("route", "{ns}_edge-rt-checkout-canary_0")),
        histogram=True,
    ),
)

Series = dict[str, str]


@dataclass(slots=True)
class Line:
    """One series of a target and how it moves."""

    labels: Series
    counter: bool
    busy: float
    """The share of scrapes at which it moves."""
    flaky: float
    """The share of scrapes at which it is missing."""
    value: float = 0.0

    def next(self, random: Random) -> float | None:
        """The value at the next scrape, None if the series is missing."""
        if random.random() < self.flaky:
            return None
        if random.random() < self.busy:
            self._move(random)
        return self.value

    def _move(self, random: Random) -> None:
        if not self.counter:
            self.value = random.choice(
                (random.gauss(0, 100), 0.0, math.nan, math.inf, -math.inf, 1e300, 1e-9)
            )
        elif random.random() < 0.02:
            self.value = 0.0  # the process started anew
        else:
            self.value += random.choice((1, 1, 2, 5, random.random() * 30))


@dataclass(slots=True)
class Target:
    """What one target exposed, scrape by scrape; None for a failed scrape."""

    labels: tuple[tuple[str, str], ...]
    scrapes: list[tuple[int, list[tuple[Series, float]] | None]] = field(default_factory=list)


def make_world(seed: int, namespace: str) -> Sequence[Target]:
    """Targets of the namespace with their scrapes."""
    random = Random(seed)
    interval = random.choice((1_000, 1_000, 5_000, 15_000))
    pods = (
        "checkout-7c9d8f-abcde",
        "checkout-7c9d8f-x1y2z",
        "checkout-primary-6b5f7-k8l9m",
        "checkout-x7k2p",
    )
    return [_make_target(random, namespace, pod, interval) for pod in pods[: random.randint(2, 4)]]


def _make_target(random: Random, namespace: str, pod: str, interval: int) -> Target:
    labels = {
        "job": "kubernetes-pods",
        "namespace": namespace,
        "kubernetes_namespace": namespace,
        "kubernetes_pod_name": pod,
        "pod": pod,
    }
    target = Target(labels_of(labels))
    lines = list(_lines(random, namespace))
    ms = EPOCH + random.randrange(interval)
    for _ in range(SCRAPES):
        ms += interval
        if random.random() < 0.05:
            continue  # nobody scraped: a gap without a marker
        failed = random.random() < 0.03
        values = [(line.labels, value) for line in lines if (value := line.next(random)) is not None]
        target.scrapes.append((ms + random.randint(-20, 20), None if failed else values))
    return target


def _lines(random: Random, namespace: str) -> Iterator[Line]:
    for family in FAMILIES:
        labels = {name: value.replace("{ns}", namespace) for name, value in family.labels}
        codes = {_code(family, code) for code in random.sample(CODES, random.randint(1, 3))}
        for code in sorted(codes) if family.code else [""]:
            coded = labels | ({family.code: code} if code else {})
            yield from _family_lines(random, family, coded)
    for index in range(4):
        yield Line(
            {"__name__": "gauge", "n": str(index)}, counter=False, busy=0.4, flaky=random.choice((0, 0.1))
        )


def _code(family: Family, code: str) -> str:
    if family.code != "classification":
        return code
    return "failure" if code.startswith("5") else "success"


def _family_lines(random: Random, family: Family, labels: Series) -> Iterator[Line]:
    busy, flaky = random.choice((0.0, 0.1, 0.9)), random.choice((0.0, 0.0, 0.05, 0.5))
    if not family.histogram:
        yield Line({"__name__": family.name, **labels}, counter=True, busy=busy, flaky=flaky)
        return
    for bound in BOUNDS:
        if random.random() > 0.05:  # else a histogram without this bucket
            name = f"{family.name}_bucket"
            yield Line({"__name__": name, **labels, "le": bound}, counter=True, busy=busy, flaky=flaky)
    for suffix in ("sum", "count"):
        yield Line({"__name__": f"{family.name}_{suffix}", **labels}, counter=True, busy=busy, flaky=flaky)


def store(world: Sequence[Target], into: SeriesStore) -> None:
    """Let the embedded store scrape the world."""
    for target in world:
        ingest = Ingest(into, target.labels)
        for ms, values in target.scrapes:
            if values is None:
                ingest.fail(ms, 0.25)
            else:
                ingest.accept("".join(map(_text, values)), ms, 0.25)


def _text(sample: tuple[Series, float]) -> str:
    labels, value = sample
    pairs = ",".join(f'{name}="{text}"' for name, text in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{pairs}}} {value!r}\n"


def feed(world: Sequence[Target]) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    """What Prometheus would have stored of the world, markers included."""
    result: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for target in world:
        up = labels_of({"__name__": "up", **dict(target.labels)})
        live: set[tuple[tuple[str, str], ...]] = set()
        for ms, values in target.scrapes:
            now = {labels_of({**labels, **dict(target.labels)}): value for labels, value in values or ()}
            for labels in live - now.keys():
                result[labels].append((ms, STALE))
            for labels, value in now.items():
                result.setdefault(labels, []).append((ms, value))
            result.setdefault(up, []).append((ms, float(values is not None)))
            live = set(now)
    return result
