"""One pass over the metrics: order, outcomes, sentences, and where numbers come from."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from flagger.api.canary import Canary
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.connection import Connection
from flagger.kube.objects import SECRET
from flagger.metrics.analysis import Means, MetricAnalysis, checks_of, provider_string
from flagger.metrics.base import MetricResult
from flagger.metrics.sources import KNATIVE_SERVICE, METRIC_TEMPLATE
from flagger.outbound import Outbound
from flagger.rollout.facts import Verdict
from tests.fakes.scripted import Received, Reply, ScriptedServer
from tests.kube.tiny_api import TinyApi, client_of, running
from tests.metrics.canaries import a_canary

Object = dict[str, Any]


def answer(value: str | None) -> Reply:
    series = [] if value is None else [{"metric": {}, "value": [1, value]}]
    return Reply(body=json.dumps({"data": {"resultType": "vector", "result": series}}).encode())


@dataclass
class Metrics:
    """A metrics server with one answer per query; the first key that the query contains counts."""

    answers: dict[str, str | Reply | None] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)

    def __call__(self, request: Received) -> Reply:
        query = request.query("query")
        self.queries.append(query)
        reply = next((reply for key, reply in self.answers.items() if key in query), "1")
        return reply if isinstance(reply, Reply) else answer(reply)


@dataclass
class World:
    """A metrics server, an API server, and the analysis between them."""

    metrics: Metrics
    server: ScriptedServer
    api: TinyApi
    analysis: MetricAnalysis

    async def results(self, *metrics: Object, **spec: Any) -> tuple[MetricResult, ...]:
        return await self.analysis.analyse(a_canary(*metrics, **spec))

    async def only(self, metric: Object, **spec: Any) -> MetricResult:
        (result,) = await self.results(metric, **spec)
        return result

    def template(
        self, name: str = "errors", query: str = "errors", namespace: str = "shop", **provider: Any
    ) -> None:
        settings = {"type": "prometheus", "address": self.server.url, **provider}
        self.api.put(METRIC_TEMPLATE, name, namespace, spec={"provider": settings, "query": query})

    def secret(self, name: str, namespace: str = "shop", **values: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.api.put(SECRET, name, namespace, data=encoded)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    metrics = Metrics()
    async with (
        ScriptedServer(metrics) as server,
        running(TinyApi()) as api,
        client_of(api) as client,
        Cluster(client) as cluster,
        Outbound() as outbound,
    ):
        analysis = MetricAnalysis(cluster, outbound, metrics_server=server.url, mesh="istio")
        yield World(metrics, server, api, analysis)


RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}}
INLINE = {"name": "queue", "query": "queue_length", "thresholdRange": {"max": 10}}
TEMPLATE = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 5}}
NOTHING = {"name": "foo"}


@pytest.mark.parametrize(
    ("metrics", "order"),
    [
        ([], []),
        ([RATE, DURATION], ["request-success-rate SUCCESS_RATE", "request-duration DURATION"]),
        (
            [TEMPLATE, NOTHING, INLINE, RATE],
            ["queue INLINE", "request-success-rate SUCCESS_RATE", "errors TEMPLATE", "foo UNUSABLE"],
        ),
        ([RATE | {"query": "x"}], ["request-success-rate SUCCESS_RATE", "request-success-rate INLINE"]),
        (
            [DURATION | {"templateRef": {"name": "t"}}],
            ["request-duration DURATION", "request-duration TEMPLATE"],
        ),
        ([TEMPLATE | {"query": "x"}], ["errors INLINE", "errors TEMPLATE"]),
    ],
)
def test_order(metrics: list[Object], order: list[str]) -> None:
    """Built-in and inline checks come before all templates; a metric may be checked in several ways."""
    planned = checks_of(a_canary(*metrics).spec.analysis.metrics)
    assert [f"{metric.name} {check.name}" for metric, check in planned] == order
    assert len(Means) == 5


@pytest.mark.parametrize(
    ("mesh", "provider", "kind", "chosen"),
    [
        ("istio", "", "Deployment", "istio"),
        ("istio", "nginx", "Deployment", "nginx"),
        ("linkerd", "nginx", "Deployment", "linkerd"),
        ("smi:linkerd", "nginx", "Deployment", "linkerd"),
        ("smi:linkerd", "", "Deployment", "smi:linkerd"),
        ("smi:crossover", "", "Deployment", "crossover"),
        ("istio", "gatewayapi:v1", "Service", "gatewayapi:v1:service"),
    ],
)
def test_provider_string(mesh: str, provider: str, kind: str, chosen: str) -> None:
    """The Canary's provider chooses the queries, except on Linkerd, which measures for every ingress."""
    assert provider_string(mesh, a_canary(provider=provider, kind=kind)) == chosen


def test_provider_string_of_knative() -> None:
    """A Knative Service is no core Service."""
    canary = a_canary(provider="knative", kind="Service", api_version="serving.knative.dev/v1")
    assert provider_string("istio", canary) == "knative"


async def test_no_metrics_pass(world: World) -> None:
    """An empty list passes without asking anybody."""
    assert await world.results() == ()
    assert world.metrics.queries == []


async def test_a_good_pass(world: World) -> None:
    """Each check is returned in order with what was measured and asked."""
    world.template(query="errors{ns='{{ namespace }}',t='{{ variables.tier }}'}[{{ interval }}]")
    world.metrics.answers = {"_count": "99.5", "_bucket": "0.2009", "queue": "7", "errors": "2.5"}

    results = await world.results(TEMPLATE | {"templateVariables": {"tier": "gold"}}, INLINE, DURATION, RATE)

    assert [(result.name, result.value) for result in results] == [
        ("queue", 7.0),
        ("request-duration", 0.2),
        ("request-success-rate", 99.5),
        ("errors", 2.5),
    ]
    assert {result.verdict for result in results} == {Verdict.PASS}
    assert results[3].query == "errors{ns='shop',t='gold'}[1m]"
    assert sorted(world.metrics.queries) == sorted(result.query for result in results)


async def test_stops_at_the_first_failure_in_order(world: World) -> None:
    """What comes behind the first bad result is not returned, even if it failed sooner."""
    world.metrics.answers = {"_count": Reply(body=answer("97.2").body, wait=0.2), "queue": "99"}
    results = await world.results(RATE, INLINE, DURATION)
    assert [result.message for result in results] == [
        "Halt checkout.shop advancement success rate 97.20% < 99%"
    ]
    assert results[0].value == 97.2


@pytest.mark.looptime
async def test_queries_run_at_once(world: World) -> None:
    """A pass takes as long as its slowest query, and no longer than the first failure needs."""
    loop = asyncio.get_running_loop()
    slow = {key: Reply(body=answer("1").body, wait=3.0) for key in ("one", "two", "three")}
    world.metrics.answers = {**slow, "bad": Reply(body=answer("2").body, wait=1.0)}
    metrics = [{"name": key, "query": key, "thresholdRange": {"max": 1}} for key in slow]

    started = loop.time()
    assert len(await world.results(*metrics)) == 3
    assert loop.time() - started == pytest.approx(3.0, abs=0.1)

    started = loop.time()
    bad = {"name": "bad", "query": "bad", "thresholdRange": {"max": 1}}
    assert len(await world.results(bad, *metrics)) == 1
    assert loop.time() - started == pytest.approx(1.0, abs=0.1)


SILENT = "probably checkout.shop is not receiving traffic"


@pytest.mark.parametrize(
    ("metric", "begins"),
    [
        (RATE, f"Halt advancement no values found for gatewayapi:v1 metric request-success-rate {SILENT}: "),
        (DURATION, f"Halt advancement no values found for gatewayapi:v1 metric request-duration {SILENT}: "),
        (INLINE, "Halt advancement no values found for metric: queue: "),
        (TEMPLATE, "Halt advancement no values found for custom metric: errors: "),
    ],
)
async def test_no_data(world: World, metric: Object, begins: str) -> None:
    """No value is its own outcome; the sentence says what was asked where."""
    world.template()
    world.metrics.answers = {"": None}
    result = await world.only(metric)
    assert (result.verdict, result.value) == (Verdict.NO_DATA, None)
    assert result.message.startswith(f"{begins}{world.server.url}: no values found (query: {result.query}")


@pytest.mark.parametrize(
    ("metric", "begins"),
    [
        (RATE, "Prometheus query failed: "),
        (DURATION, "Prometheus query failed: "),
        (INLINE, "Prometheus query failed for queue: "),
        (TEMPLATE, "Metric query failed for errors: "),
    ],
)
async def test_provider_errors(world: World, metric: Object, begins: str) -> None:
    """A backend that refuses is an error, with status, address and query."""
    world.template()
    world.metrics.answers = {"": Reply(500, b"out of memory")}
    result = await world.only(metric)
    assert (result.verdict, result.value) == (Verdict.ERROR, None)
    assert result.message.startswith(f"{begins}{world.server.url}: 500 Internal Server Error: out of memory")
    assert len(result.message) <= 1024


async def test_only_failing_requests_are_a_rate_of_zero(world: World) -> None:
    """Without one good request the rate has no value; that requests came in at all makes it 0 %."""
    world.metrics.answers = {" / ": None, 'pod_name=~"checkout': "3.5"}
    result = await world.only(RATE)
    assert result.value == 0.0
    assert result.message == "Halt checkout.shop advancement success rate 0.00% < 99%"
    assert len(world.metrics.queries) == 2


async def test_unknown_built_in_provider(world: World) -> None:
    """A provider without built-in queries is an error that says so, not somebody else's query."""
    world.analysis._mesh = "mystery"
    result = await world.only(RATE, provider="")
    assert result.verdict is Verdict.ERROR
    assert "no built-in request-success-rate for the provider mystery; use a templateRef" in result.message
    assert world.metrics.queries == []


async def test_unusable_metric(world: World) -> None:
    """A name alone is a mistake in the Canary."""
    result = await world.only(NOTHING)
    assert result.verdict is Verdict.ERROR
    assert result.message == "Metric query failed for foo: no usable metrics template and query configured"


@pytest.mark.parametrize(
    ("metric", "query"),
    [(INLINE | {"query": "up[{{ interval }}]"}, "up[1m]"), (TEMPLATE, "up[1m]")],
)
async def test_interval_defaults_to_a_minute(world: World, metric: Object, query: str) -> None:
    """A metric without interval looks back one minute, templates included."""
    world.template(query="up[{{ interval }}]")
    assert (await world.only(metric)).query == query


async def test_inline_render_error(world: World) -> None:
    """A query that cannot be rendered is an error of its own; nothing is asked."""
    result = await world.only(INLINE | {"query": "up{{ nope }}"})
    assert result.verdict is Verdict.ERROR
    assert result.message.startswith(
        "Prometheus query failed for queue: template parsing failed: line 1, column 6"
    )
    assert world.metrics.queries == []


async def test_metrics_server_of_the_canary(world: World) -> None:
    """`spec.metricsServer` replaces the operator's for built-in and inline queries."""
    async with ScriptedServer([answer("1")]) as own:
        await world.results(INLINE, metricsServer=own.url)
        assert (len(own.received), len(world.server.received)) == (1, 0)


async def test_unusable_metrics_server(world: World) -> None:
    """An override that is no URL fails the pass at once."""
    (result,) = await world.results(RATE, INLINE, metricsServer="prometheus:9090")
    assert (result.name, result.verdict) == ("request-success-rate", Verdict.ERROR)
    assert result.message.startswith(
        "Error building Prometheus client for metrics server address 'prometheus:9090'"
    )


def _no_template(_: World) -> None:
    pass


def _bad_type(world: World) -> None:
    world.template(type="mystery")


def _unsupported(world: World) -> None:
    world.template(type="datadog")


def _no_address(world: World) -> None:
    world.template(address="")


def _no_secret(world: World) -> None:
    world.template(secretRef={"name": "prom"})


def _wrong_keys(world: World) -> None:
    world.template(secretRef={"name": "prom"})
    world.secret("prom", user="u")


def _not_base64(world: World) -> None:
    world.template(secretRef={"name": "prom"})
    world.api.put(SECRET, "prom", data={"token": "%%%"})


def _bad_query(world: World) -> None:
    world.template(query="{{ variables.nope }}")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_no_template, "Metric template errors.shop error: MetricTemplate shop/errors not found"),
        (_bad_type, "Metric template errors.shop error: spec.provider.type"),
        (
            _unsupported,
            "Metric template errors.shop provider datadog error: spec.provider.type: datadog is not",
        ),
        (_no_address, "Metric template errors.shop provider prometheus error: spec.provider.address"),
        (_no_secret, "Metric template errors.shop secret prom error: Secret shop/prom not found"),
        (_wrong_keys, "Metric template errors.shop provider prometheus error: spec.provider.secretRef"),
        (_not_base64, "Metric template errors.shop secret prom error: data: a value is not base64"),
        (_bad_query, "Metric template errors.shop query render error: template execution failed"),
    ],
)
async def test_template_errors(world: World, prepare: Callable[[World], None], message: str) -> None:
    """What is wrong with a template, its Secret, its settings or its text is named; nothing is asked."""
    prepare(world)
    result = await world.only(TEMPLATE)
    assert result.verdict is Verdict.ERROR
    assert result.message.startswith(message)
    assert world.metrics.queries == []


@pytest.mark.looptime
async def test_api_server_gone() -> None:
    """Templates that cannot be read are an error of the metric, not of the operator."""
    async with (
        Client(Connection("http://127.0.0.1:1")) as client,
        Cluster(client) as cluster,
        Outbound() as outbound,
    ):
        analysis = MetricAnalysis(cluster, outbound, metrics_server="http://p:9090", mesh="istio")
        (result,) = await analysis.analyse(a_canary(TEMPLATE))
    assert result.verdict is Verdict.ERROR
    assert result.message.startswith("Metric template errors.shop error: ")


async def test_template_in_another_namespace(world: World) -> None:
    """A template elsewhere is used with the Secret of its own namespace, whose line ends are cut off."""
    world.template(namespace="observability", secretRef={"name": "prom"})
    world.secret("prom", "observability", token="t0ken\n")
    metric = TEMPLATE | {"templateRef": {"name": "errors", "namespace": "observability"}}
    assert (await world.only(metric)).verdict is Verdict.PASS
    assert world.server.received[0].header("authorization") == ["Bearer t0ken"]


async def test_knative_revision(world: World) -> None:
    """On a Knative target `route` is the latest created revision, in built-in queries and templates."""
    world.api.put(KNATIVE_SERVICE, "checkout", status={"latestCreatedRevisionName": "checkout-00002"})
    world.template(query="x{route='{{ route }}'}")
    knative = {"provider": "knative", "kind": "Service", "api_version": "serving.knative.dev/v1"}
    results = await world.results(RATE | {"thresholdRange": {}}, TEMPLATE, **knative)
    assert 'envoy_cluster_name=~"shop/checkout-00002"' in results[0].query
    assert results[1].query == "x{route='checkout-00002'}"


async def test_knative_service_missing(world: World) -> None:
    """Without the Knative Service the pass fails and says which one."""
    knative = {"provider": "knative", "kind": "Service", "api_version": "serving.knative.dev/v1"}
    (result,) = await world.results(RATE, **knative)
    assert result.message.startswith("Error fetching Knative service shop/checkout ")


async def test_several_series_are_logged(world: World) -> None:
    """A query that yields several series leaves a warning in the log."""
    body = {"data": {"result": [{"value": [1, "1"]}, {"value": [1, "2"]}]}}
    world.metrics.answers = {"": Reply(body=json.dumps(body).encode())}
    with structlog.testing.capture_logs() as logs:
        await world.only(INLINE)
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["canary"], line["note"]) == ("checkout.shop", "2 series, the last one counts")


AVAILABLE = {"vector(1)": "1"}


async def test_providers_available(world: World) -> None:
    """Each backend is asked once, the metrics server for all built-in and inline metrics together."""
    world.template()
    world.metrics.answers = dict(AVAILABLE)
    assert await world.analysis.check_providers(a_canary(RATE, DURATION, INLINE, TEMPLATE)) == []
    assert world.metrics.queries == ["vector(1)", "vector(1)"]


async def test_providers_unavailable(world: World) -> None:
    """Every backend that cannot be used is named, in the order of the metrics."""
    world.metrics.answers = {"": Reply(503, b"starting")}
    world.template()
    missing = TEMPLATE | {"templateRef": {"name": "gone"}}
    problems = await world.analysis.check_providers(a_canary(RATE, TEMPLATE, missing))
    begins = [
        f"prometheus not available: {world.server.url}: 503 Service Unavailable: starting",
        "prometheus in metric template errors.shop not available: ",
        "Metric template gone.shop error: ",
    ]
    assert len(problems) == len(begins)
    assert all(problem.startswith(begin) for problem, begin in zip(problems, begins, strict=True))


@pytest.mark.parametrize("metrics", [[], [NOTHING]])
async def test_nothing_to_check(world: World, metrics: list[Object]) -> None:
    """Without a backend in use nothing is asked and all is well."""
    canary: Canary = a_canary(*metrics)
    assert await world.analysis.check_providers(canary) == []
    assert world.metrics.queries == []
