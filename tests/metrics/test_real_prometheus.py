"""The provider and the built-in queries on a real Prometheus, against values computed by hand."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta

import pytest

from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.metrics.analysis import MetricAnalysis
from flagger.metrics.base import Backend, NoData, ProviderError, Sample
from flagger.metrics.builtin import OBSERVERS
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.templating import render
from flagger.outbound import Outbound
from flagger.rollout.facts import Verdict
from tests.metrics.canaries import a_canary
from tests.sandbox.metrics import oracle

pytestmark = pytest.mark.prometheus

STEP = 5  # seconds between samples
CANARY_POD, PRIMARY_POD = "checkout-7c9d8f-abcde", "checkout-primary-7c9d8f-abcde"
DAEMON_POD, DAEMON_PRIMARY_POD = "agent-x7k2p", "agent-primary-x7k2p"
COUNT, BUCKET = "http_request_duration_seconds_count", "http_request_duration_seconds_bucket"

# Requests per second by namespace, pod and status.
RATES = {
    ("shop", CANARY_POD, "200"): 97.0,
    ("shop", CANARY_POD, "404"): 1.0,
    ("shop", CANARY_POD, "500"): 1.0,
    ("shop", CANARY_POD, "503"): 1.0,
    ("shop", PRIMARY_POD, "500"): 1000.0,
    ("other", CANARY_POD, "500"): 1000.0,
    ("broken", CANARY_POD, "502"): 10.0,
    ("silent", CANARY_POD, "200"): 0.0,
    ("nodes", DAEMON_POD, "200"): 3.0,
    ("nodes", DAEMON_POD, "500"): 1.0,
    ("nodes", DAEMON_PRIMARY_POD, "500"): 1000.0,
}

# Requests per second up to each bound, in seconds: the 99th of 100 lies a quarter into the bucket 0.5 to 1.
BUCKETS = {"0.1": 50.0, "0.5": 98.0, "1": 102.0, "2.5": 102.0, "+Inf": 102.0}
P99_OF_102 = 0.5 + 0.5 * (0.99 * 102 - 98) / (102 - 98)


def feed() -> oracle.Feed:
    """Counters that grow steadily from ten minutes ago to two minutes ahead."""
    now = int(time.time())
    times = range(now - 600, now + 120, STEP)

    def counter(per_second: float) -> list[tuple[int, float]]:
        return [(moment * 1000, (moment - now + 600) * per_second) for moment in times]

    def labels(metric: str, namespace: str, pod: str, **more: str) -> tuple[tuple[str, str], ...]:
        named = {"__name__": metric, "kubernetes_namespace": namespace, "kubernetes_pod_name": pod}
        return tuple(sorted((named | more).items()))

    counts = {
        labels(COUNT, ns, pod, status=status): counter(rate) for (ns, pod, status), rate in RATES.items()
    }
    buckets = {labels(BUCKET, "shop", CANARY_POD, le=le): counter(rate) for le, rate in BUCKETS.items()}
    slow = {labels(BUCKET, "shop", PRIMARY_POD, le=le): counter(9.0 * (le == "+Inf")) for le in BUCKETS}
    return {**counts, **buckets, **slow}


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    oracle.require()
    with oracle.running() as server:
        server.write(feed())
        yield server.url


@pytest.fixture
async def provider(prometheus: str) -> AsyncIterator[Prometheus]:
    async with Outbound() as outbound:
        yield Prometheus(Backend(outbound, prometheus))


@pytest.fixture
async def analysis(prometheus: str) -> AsyncIterator[MetricAnalysis]:
    """An analysis that needs no API server."""
    async with (
        Client(Connection("http://127.0.0.1:1")) as client,
        Cluster(client) as cluster,
        Outbound() as outbound,
    ):
        yield MetricAnalysis(cluster, outbound, metrics_server=prometheus, mesh="kubernetes")


async def test_is_available(provider: Prometheus) -> None:
    """A running Prometheus passes the availability check."""
    assert await provider.check() is None


QUERIES: Mapping[str, Callable[[object], bool]] = {
    "vector(42.5)": lambda reading: reading == Sample(42.5),
    "vector(1)\n  + 1": lambda reading: reading == Sample(2.0),
    "vector(1) / 0": lambda reading: reading == Sample(float("inf")),
    "vector(0) / 0": lambda reading: isinstance(reading, NoData),
    "nowhere": lambda reading: isinstance(reading, NoData),
    COUNT: lambda reading: isinstance(reading, Sample) and "series, the last one counts" in reading.note,
    "1 + 1": lambda reading: isinstance(reading, ProviderError) and "scalar" in reading.problem,
    f"{COUNT}[1m]": lambda reading: isinstance(reading, ProviderError) and "range vector" in reading.problem,
    "sum(": lambda reading: isinstance(reading, ProviderError) and "400 Bad Request" in reading.problem,
    "": lambda reading: isinstance(reading, ProviderError) and "400 Bad Request" in reading.problem,
}


@pytest.mark.parametrize("query", QUERIES)
async def test_readings(provider: Prometheus, query: str) -> None:
    """Each kind of answer of the real server is told from the others."""
    assert QUERIES[query](await provider.query(query, window=timedelta(minutes=1)))


@pytest.mark.parametrize("row", OBSERVERS)
async def test_every_built_in_query_is_promql(provider: Prometheus, row: str) -> None:
    """The server takes all built-in queries; without their series they have no value."""
    observer = OBSERVERS[row]
    model = observer.adapt(a_canary().query_model())
    for text in (observer.success_rate, observer.latency):
        reading = await provider.query(render(text, model), window=timedelta(minutes=1))
        expected = Sample if row in ("kubernetes", "gatewayapi") else NoData
        assert isinstance(reading, expected)


@pytest.mark.parametrize(
    ("namespace", "metric", "verdict", "value"),
    [
        pytest.param("shop", "request-success-rate", Verdict.PASS, 98.0, id="two of a hundred fail"),
        pytest.param("broken", "request-success-rate", Verdict.FAIL, 0.0, id="all fail"),
        pytest.param("silent", "request-success-rate", Verdict.NO_DATA, None, id="no requests in the window"),
        pytest.param("nobody", "request-success-rate", Verdict.NO_DATA, None, id="no series"),
        pytest.param("shop", "request-duration", Verdict.PASS, int(P99_OF_102 * 1000) / 1000, id="latency"),
        pytest.param("silent", "request-duration", Verdict.NO_DATA, None, id="no latency"),
    ],
)
async def test_built_in_metrics(
    analysis: MetricAnalysis, namespace: str, metric: str, verdict: Verdict, value: float | None
) -> None:
    """The canary's own pods are measured: not the primary's, not another namespace's."""
    bounds = {"min": 98.0 - 1e-9} if metric == "request-success-rate" else {"max": 1000.0}
    canary = a_canary({"name": metric, "thresholdRange": bounds}, namespace=namespace)
    (result,) = await analysis.analyse(canary)
    assert result.verdict is verdict
    assert result.value == (None if value is None else pytest.approx(value))


async def test_daemon_set(analysis: MetricAnalysis) -> None:
    """Of a DaemonSet, too, only the canary's pods count."""
    metric = {"name": "request-success-rate", "thresholdRange": {"min": 50}}
    canary = a_canary(metric, name="agent", namespace="nodes", kind="DaemonSet")
    (result,) = await analysis.analyse(canary)
    assert result.value == pytest.approx(75.0)
