"""What follows from the fields of a Canary: names, defaults, strategy."""

from datetime import timedelta
from typing import Any

import pytest

from flagger.api.analysis import (
    Alert,
    AlertSeverity,
    Analysis,
    HookType,
    Metric,
    SessionAffinity,
    Strategy,
    ThresholdRange,
    Webhook,
)
from flagger.api.references import CrossNamespaceRef, Key
from tests.api.examples import AB, BLUE_GREEN, GONE, WEIGHTED, a_canary

SECOND = timedelta(seconds=1)


def test_services_are_named_after_the_target() -> None:
    """All three Services and the primary take the target's name."""
    canary = a_canary()

    assert canary.service_names == ("checkout", "checkout-primary", "checkout-canary")
    assert canary.primary_name == "checkout-primary"


def test_services_can_have_a_name_of_their_own() -> None:
    """The primary workload keeps the target's name."""
    canary = a_canary(spec__service__name="shop")

    assert canary.service_names == ("shop", "shop-primary", "shop-canary")
    assert canary.primary_name == "checkout-primary"


def test_port_defaults() -> None:
    """The main port is called http and leads to the port of the same number, unless said otherwise."""
    plain, named = a_canary(BLUE_GREEN), a_canary(spec__service__portName="grpc")

    assert (plain.port_name, plain.target_port) == ("http", 8080)
    assert (named.port_name, named.target_port) == ("grpc", "http")


@pytest.mark.parametrize(
    ("text", "floor", "length"),
    [
        ("30s", 10, 30),
        ("1m30s", 10, 90),
        ("1s", 10, 10),
        ("500ms", 10, 10),
        ("1s", 1, 1),
        ("", 10, 60),
        ("5minutes", 10, 60),
        ("5minutes", 90, 90),
    ],
)
def test_interval(text: str, floor: int, length: int) -> None:
    """An unreadable interval is a minute; none is below the operator's floor."""
    assert a_canary(spec__analysis__interval=text).interval(floor * SECOND) == length * SECOND


@pytest.mark.parametrize(("value", "length"), [(GONE, 600), (0, 0), (-5, -5), (90, 90)])
def test_progress_deadline(value: Any, length: int) -> None:
    """Ten minutes unless given; zero and negative values are meant."""
    assert a_canary(spec__progressDeadlineSeconds=value).progress_deadline == length * SECOND


@pytest.mark.parametrize(
    ("analysis", "limit"),
    [
        (Analysis(), 100),
        (Analysis(max_weight=-1), 100),
        (Analysis(max_weight=40), 40),
        (Analysis(max_weight=140), 100),
        (Analysis(max_weight=40, step_weights=(10, 60)), 60),
        (Analysis(step_weights=(50, 120)), 100),
    ],
)
def test_weight_limit(analysis: Analysis, limit: int) -> None:
    """The last rung counts, else maxWeight, and never more than everything."""
    assert analysis.weight_limit == limit


def test_other_defaults_of_an_analysis() -> None:
    """One failed check is too many, and everything has to be ready."""
    plain, given = (
        Analysis(threshold=-1),
        Analysis(threshold=3, primary_ready_threshold=0, canary_ready_threshold=50),
    )

    assert (plain.failure_limit, plain.primary_ready_percent, plain.canary_ready_percent) == (1, 100, 100)
    assert (given.failure_limit, given.primary_ready_percent, given.canary_ready_percent) == (3, 0, 50)


@pytest.mark.parametrize(
    ("base", "changes", "strategy", "label"),
    [
        (WEIGHTED, {}, Strategy.CANARY, "canary"),
        (AB, {}, Strategy.AB, "ab-testing"),
        (AB, {"spec__provider": "kubernetes"}, Strategy.BLUE_GREEN, "blue-green"),
        (AB, {"spec__analysis__iterations": GONE}, Strategy.CANARY, "canary"),
        (BLUE_GREEN, {}, Strategy.BLUE_GREEN, "blue-green"),
        (WEIGHTED, {"spec__provider": GONE}, Strategy.BLUE_GREEN, "blue-green"),
    ],
)
def test_strategy(base: dict[str, Any], changes: dict[str, Any], strategy: Strategy, label: str) -> None:
    """Iterations and conditions decide; plain Kubernetes (here the default) is always blue/green."""
    found = a_canary(base, **changes).strategy("kubernetes")

    assert found is strategy
    assert str(found) == label


def test_plain_kubernetes_runs_ten_iterations() -> None:
    """Where nothing can be split, a weighted analysis becomes ten checks, and given iterations stay."""
    assert a_canary().spec.analysis.on("kubernetes").iterations == 10
    assert a_canary(BLUE_GREEN).spec.analysis.on("kubernetes").iterations == 5
    assert a_canary().spec.analysis.on("istio") is not None


def test_the_provider_is_the_canarys_own_or_the_operators() -> None:
    """An empty provider means the operator's."""
    assert a_canary().provider("linkerd") == "istio"
    assert a_canary(spec__provider="").provider("linkerd") == "linkerd"


def test_references_stay_in_the_namespace_unless_they_say_so() -> None:
    """An empty namespace is the Canary's, for every reference."""
    canary = a_canary()

    assert canary.locate(CrossNamespaceRef(name="a")) == Key("shop", "a")
    assert canary.locate(CrossNamespaceRef(name="a", namespace="b")) == Key("b", "a")


def test_query_model() -> None:
    """Queries can name everything the Canary is about; references that are absent have the target's name."""
    model = a_canary(spec__service__name="front").query_model("2m", {"tier": "gold"})

    assert (model.name, model.namespace, model.target, model.service) == (
        "checkout",
        "shop",
        "checkout",
        "front",
    )
    assert (model.ingress, model.route, model.interval, model.variables) == (
        "checkout",
        "checkout",
        "2m",
        {"tier": "gold"},
    )


def test_query_model_with_references() -> None:
    """Ingress and route are the referenced ones; Knative puts its revision in the route's place."""
    ref = {"apiVersion": "v1", "name": "edge"}
    canary = a_canary(
        spec__ingressRef={**ref, "kind": "Ingress"},
        spec__routeRef={**ref, "kind": "ApisixRoute", "name": "r"},
    )

    assert (canary.query_model().ingress, canary.query_model().route) == ("edge", "r")
    assert canary.query_model(route="checkout-00007").route == "checkout-00007"
    assert (canary.query_model().interval, canary.query_model().variables) == ("1m", {})


@pytest.mark.parametrize(
    ("metric", "bounds"),
    [
        (Metric(name="request-success-rate", threshold=99), ThresholdRange(min=99)),
        (Metric(name="request-duration", threshold=500), ThresholdRange(max=500)),
        (Metric(name="queue", threshold=3), ThresholdRange(max=3)),
        (Metric(name="queue"), ThresholdRange(max=0)),
        (Metric(name="queue", threshold=3, threshold_range=ThresholdRange()), ThresholdRange()),
        (
            Metric(name="queue", threshold_range=ThresholdRange(min=1, max=2)),
            ThresholdRange(min=1, max=2),
        ),
    ],
)
def test_bounds(metric: Metric, bounds: ThresholdRange) -> None:
    """The range wins; a single threshold is the least success rate, and the greatest of anything else."""
    assert metric.bounds == bounds


def test_windows_default_to_a_minute() -> None:
    """Also for templates, where upstream leaves the interval empty."""
    assert [Metric(name="a").window, Metric(name="a", interval="2m").window] == ["1m", "2m"]


@pytest.mark.parametrize(
    ("text", "limit"), [("", 10), ("5", 10), ("5minutes", 10), ("0s", 10), ("30s", 30), ("1m", 60)]
)
def test_webhooks_always_have_a_time_limit(text: str, limit: int) -> None:
    """What cannot be read, and zero, is ten seconds; nothing waits for ever."""
    assert Webhook(name="a", url="http://a", timeout=text).time_limit == limit * SECOND


def test_a_webhook_without_a_type_is_a_rollout_hook() -> None:
    """The empty type has a meaning."""
    assert Webhook(name="a", url="http://a").kind is HookType.ROLLOUT
    assert Webhook(name="a", url="http://a", type=HookType.EVENT).kind is HookType.EVENT


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("", ["info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_alerts_from_a_severity_on(configured: str, sent: list[str]) -> None:
    """An alert without a severity sends everything, as documented (upstream sends nothing)."""
    alert = Alert(name="a", severity=AlertSeverity(configured), provider_ref=CrossNamespaceRef(name="p"))

    emitted = [AlertSeverity.INFO, AlertSeverity.WARN, AlertSeverity.ERROR]
    assert [str(severity) for severity in emitted if alert.wants(severity)] == sent


def test_cookies_live_for_a_day() -> None:
    """Zero means the default."""
    lengths = [SessionAffinity(cookie_name="c", max_age=age).lifetime for age in (0, 60)]
    assert lengths == [timedelta(days=1), timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("api_version", "kind", "knative"),
    [
        ("serving.knative.dev/v1", "Service", True),
        ("v1", "Service", False),
        ("serving.knative.dev/v1", "Deployment", False),
    ],
)
def test_knative_targets(api_version: str, kind: str, *, knative: bool) -> None:
    """A Knative Service is a Service of that API version, and nothing else."""
    target = {"apiVersion": api_version, "kind": kind, "name": "a"}
    assert a_canary(spec__targetRef=target).spec.target_ref.is_knative is knative


def test_deletion() -> None:
    """A time of deletion means that the object is on its way out."""
    assert a_canary(metadata__deletionTimestamp="2030-01-05T10:12:30Z").is_deleting
    assert not a_canary().is_deleting
    assert a_canary(spec__skipAnalysis=True).skip_analysis
