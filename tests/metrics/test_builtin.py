"""The built-in queries: exact texts and which provider gets which."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.canary import QueryModel
from flagger.metrics.builtin import OBSERVERS, Observer, observer_for
from flagger.metrics.templating import render

PLAIN = QueryModel("checkout", "shop", "checkout", "checkout", "checkout", "checkout", "1m", {})
GOLDEN = yaml.safe_load((Path(__file__).parent / "golden" / "observers.yaml").read_text())


def rendered(observer: Observer, text: str, model: QueryModel) -> str:
    return render(text, observer.adapt(model))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: "-".join([case["provider"], *case["names"]]))
def test_exact_queries(case: dict[str, Any]) -> None:
    """Each row renders to exactly this PromQL."""
    observer, model = OBSERVERS[case["provider"]], replace(PLAIN, **case["names"])
    assert rendered(observer, observer.success_rate, model) == case["success-rate"]
    assert rendered(observer, observer.latency, model) == case["duration"]


def test_every_observer_is_written_out() -> None:
    """No row is without its golden text; Gateway API is the HTTP one."""
    assert {case["provider"] for case in GOLDEN} | {"gatewayapi"} == set(OBSERVERS)
    assert OBSERVERS["gatewayapi"] == OBSERVERS["kubernetes"]


@pytest.mark.parametrize(
    ("provider", "row"),
    [
        ("appmesh", "appmesh"),
        ("appmesh:v1beta2", "appmesh"),
        ("appmesh:service", "appmesh"),
        ("linkerd", "linkerd"),
        ("istio", "istio"),
        ("contour", "contour"),
        ("gloo", "gloo"),
        ("gloo:service", "gloo"),
        ("nginx", "nginx"),
        ("kubernetes", "kubernetes"),
        ("gatewayapi:v1", "gatewayapi"),
        ("gatewayapi:v1beta1", "gatewayapi"),
        ("gatewayapi:v1:service", "gatewayapi"),
        ("skipper", "skipper"),
        ("traefik", "traefik"),
        ("osm", "osm"),
        ("kuma", "kuma"),
        ("apisix", "apisix"),
        ("knative", "knative"),
        ("smi:v1alpha1", "istio"),
        ("smi:istio", "istio"),
        ("smi:linkerd", "linkerd"),
        ("crossover", "istio"),
        ("crossover:service", "istio"),
        # A Service as the target: the routing provider's own queries.
        ("kubernetes:service", "kubernetes"),
        ("istio:service", "istio"),
        ("nginx:service", "nginx"),
        ("linkerd:service", "linkerd"),
        ("contour:service", "contour"),
    ],
)
def test_selection(provider: str, row: str) -> None:
    """Which provider string is measured by which row."""
    assert observer_for(provider, "Deployment") is OBSERVERS[row]


@pytest.mark.parametrize("provider", ["", "envoy", "Istio", "kubernetes:v1", "istio:v2", ":service"])
def test_unknown_providers(provider: str) -> None:
    """An unknown string selects nothing, rather than Istio."""
    assert observer_for(provider, "Deployment") is None


@pytest.mark.parametrize("provider", ["kubernetes", "gatewayapi:v1", "appmesh"])
def test_pods_of_a_daemon_set(provider: str) -> None:
    """Pods of a DaemonSet have one suffix; the primary's pods have another name and must not match."""
    observer = observer_for(provider, "DaemonSet")
    assert observer is not None
    text = rendered(observer, observer.success_rate, PLAIN)
    assert 'kubernetes_pod_name=~"checkout-[0-9a-zA-Z]+"' in text


def test_only_http_yields_seconds() -> None:
    """The unit of a latency belongs to its row."""
    assert {name for name, row in OBSERVERS.items() if row.in_seconds} == {"kubernetes", "gatewayapi"}
