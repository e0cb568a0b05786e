"""The rules a schema cannot express, each broken once."""

from typing import Any

import pytest

from flagger.api.alert_provider import AlertProvider
from flagger.api.canary import PROVIDERS
from flagger.api.findings import Finding
from flagger.api.metric_template import MetricTemplate
from flagger.api.reference_rules import is_known_provider
from flagger.api.validate import validate, validate_alert_provider, validate_metric_template
from tests.api.examples import (
    AB,
    ALERT_PROVIDER,
    BLUE_GREEN,
    GONE,
    METRIC_TEMPLATE,
    WEIGHTED,
    Object,
    a_canary,
    changed,
)

KNATIVE = changed(
    BLUE_GREEN,
    {
        "spec.provider": "knative",
        "spec.targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "invoices"},
        "spec.service": GONE,
    },
)


def judged(
    base: Object, changes: dict[str, Any], *, provider: str = "istio", cross: bool = True
) -> list[Finding]:
    """What is found in the changed object."""
    canary = a_canary(base, **{path.replace(".", "__"): value for path, value in changes.items()})
    return validate(canary, provider=provider, cross_namespace=cross)


def fields(findings: list[Finding]) -> list[str]:
    """Which fields were complained about, warnings with a question mark."""
    return [found.error.field + ("" if found.is_error else "?") for found in findings]


@pytest.mark.parametrize(
    "base", [WEIGHTED, BLUE_GREEN, AB, KNATIVE], ids=["weighted", "blue-green", "a/b", "knative"]
)
def test_nothing_is_wrong_with_the_examples(base: Object) -> None:
    """What works upstream is not complained about."""
    assert judged(base, {}) == []


CASES: list[tuple[Object, dict[str, Any], list[str]]] = [
    # provider and references
    (WEIGHTED, {"spec.provider": "abacus"}, ["spec.provider"]),
    (WEIGHTED, {"spec.targetRef.kind": "StatefulSet"}, ["spec.targetRef.kind"]),
    (WEIGHTED, {"spec.targetRef.name": ""}, ["spec.targetRef.name"]),
    (WEIGHTED, {"spec.autoscalerRef.kind": "VerticalPodAutoscaler"}, ["spec.autoscalerRef.kind"]),
    (
        WEIGHTED,
        {"spec.autoscalerRef.primaryScalerReplicas.minReplicas": 7},
        ["spec.autoscalerRef.primaryScalerReplicas.minReplicas"],
    ),
    (KNATIVE, {"spec.provider": "istio"}, ["spec.provider"]),
    (KNATIVE, {"spec.provider": ""}, ["spec.provider"]),
    (BLUE_GREEN, {"spec.provider": "knative"}, ["spec.targetRef"]),
    (KNATIVE, {"spec.autoscalerRef": WEIGHTED["spec"]["autoscalerRef"]}, ["spec.autoscalerRef"]),
    (WEIGHTED, {"spec.provider": "nginx"}, ["spec.ingressRef"]),
    (WEIGHTED, {"spec.provider": "skipper"}, ["spec.ingressRef"]),
    (
        WEIGHTED,
        {"spec.provider": "nginx", "spec.ingressRef": {"apiVersion": "v1", "kind": "Ingress", "name": ""}},
        ["spec.ingressRef"],
    ),
    (WEIGHTED, {"spec.provider": "apisix"}, ["spec.routeRef"]),
    (WEIGHTED, {"spec.provider": "appmesh"}, ["spec.service.meshName"]),
    (WEIGHTED, {"spec.provider": "appmesh:v1beta2"}, []),
    (AB, {"spec.service.gatewayRefs": GONE}, ["spec.service.gatewayRefs"]),
    # service
    (WEIGHTED, {"spec.service": GONE}, ["spec.service.port"]),
    (WEIGHTED, {"spec.service.port": 0}, ["spec.service.port"]),
    (WEIGHTED, {"spec.service.port": 65536}, ["spec.service.port"]),
    (WEIGHTED, {"spec.service.targetPort": -1}, ["spec.service.targetPort"]),
    (WEIGHTED, {"spec.service.name": "x" * 56}, ["spec.service.name"]),
    (WEIGHTED, {"spec.service.name": "x" * 55}, []),
    (WEIGHTED, {"spec.service.delegation": True}, ["spec.service.delegation"]),
    (WEIGHTED, {"spec.service.delegation": True, "spec.provider": "traefik"}, []),
    (WEIGHTED, {"spec.service.timeout": "soon"}, ["spec.service.timeout"]),
    (WEIGHTED, {"spec.service.timeout": "infinity", "spec.provider": "contour"}, []),
    (WEIGHTED, {"spec.service.retries.perTryTimeout": "0s"}, ["spec.service.retries.perTryTimeout"]),
    (AB, {"spec.service.backendTimeout": "11s"}, ["spec.service.backendTimeout"]),
    (AB, {"spec.service.mirror": [{}]}, ["spec.service.mirror[0].backendRef"]),
    (AB, {"spec.service.mirror.0.backendRef.port": GONE}, ["spec.service.mirror[0].backendRef.port"]),
    (AB, {"spec.service.mirror": [{"backendRef": {"name": "x", "group": "g", "kind": "K"}}]}, []),
    (AB, {"spec.service.hosts": ["a.example", "*"]}, ["spec.service.hosts[1]"]),
    (WEIGHTED, {"spec.service.hosts": ["*"]}, []),
    (AB, {"spec.service.corsPolicy": {"maxAge": "1d"}}, ["spec.service.corsPolicy.maxAge?"]),
    (AB, {"spec.service.match": [{"uri": {}}]}, ["spec.service.match[0].uri"]),
    (AB, {"spec.service.match": [{"method": {"regex": "G.*"}}]}, ["spec.service.match[0].method"]),
    (
        AB,
        {"spec.service.match": [{"headers": {"a": {"prefix": "b"}}, "queryParams": {"c": {}}}]},
        ["spec.service.match[0].headers.a", "spec.service.match[0].queryParams.c"],
    ),
    (
        AB,
        {
            "spec.service.rewrite": {"uri": "/", "type": "ReplacePrefixMatch"},
            "spec.analysis.match": [{"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}],
        },
        ["spec.service.rewrite.type"],
    ),
    (
        AB,
        {
            "spec.service.rewrite": {"uri": "/", "type": "ReplacePrefixMatch"},
            "spec.service.match": [{"uri": {"exact": "/a"}}],
        },
        ["spec.service.rewrite.type"],
    ),
    (AB, {"spec.service.rewrite": {"uri": "/", "type": "ReplacePrefixMatch"}}, []),
    # analysis
    (WEIGHTED, {"spec.analysis.interval": "5minutes"}, ["spec.analysis.interval?"]),
    (WEIGHTED, {"spec.analysis.interval": "0s"}, ["spec.analysis.interval?"]),
    (WEIGHTED, {"spec.analysis.stepWeights": []}, ["spec.analysis.stepWeight"]),
    (
        WEIGHTED,
        {"spec.analysis.stepWeights": [], "spec.analysis.stepWeight": -5},
        ["spec.analysis.stepWeight"],
    ),
    (WEIGHTED, {"spec.analysis.stepWeights": [], "spec.skipAnalysis": True}, []),
    (WEIGHTED, {"spec.analysis.stepWeights": [], "spec.provider": "kubernetes"}, []),
    (WEIGHTED, {"spec.analysis.stepWeights": [0, 50]}, ["spec.analysis.stepWeights[0]"]),
    (WEIGHTED, {"spec.analysis.stepWeights": [50, 20]}, ["spec.analysis.stepWeights[1]"]),
    (WEIGHTED, {"spec.analysis.stepWeights": [10, 10, 50]}, ["spec.analysis.stepWeights[1]"]),
    (WEIGHTED, {"spec.analysis.stepWeights": [50, 120]}, []),
    (WEIGHTED, {"spec.analysis.stepWeights": [20, 10], "spec.analysis.stepWeight": 5}, []),
    (
        WEIGHTED,
        {"spec.analysis.stepWeights": [20, 0], "spec.analysis.stepWeight": 5},
        ["spec.analysis.stepWeights[1]"],
    ),
    (WEIGHTED, {"spec.analysis.maxWeight": 101}, ["spec.analysis.maxWeight?"]),
    (WEIGHTED, {"spec.analysis.canaryReadyThreshold": 101}, ["spec.analysis.canaryReadyThreshold"]),
    (WEIGHTED, {"spec.analysis.primaryReadyThreshold": -1}, ["spec.analysis.primaryReadyThreshold"]),
    (WEIGHTED, {"spec.analysis.mirrorWeight": 150}, ["spec.analysis.mirrorWeight"]),
    (
        AB,
        {"spec.analysis.match": [{"headers": {"a": {"prefix": "b"}}}]},
        ["spec.analysis.match[0].headers.a"],
    ),
    (AB, {"spec.analysis.match": [{"sourceLabels": {"a": "b"}}]}, ["spec.analysis.match[0]"]),
    (
        AB,
        {"spec.analysis.match": [{"headers": {"a": {"prefix": "b"}}}], "spec.provider": "istio"},
        [],
    ),
    (AB, {"spec.analysis.match": [{}], "spec.provider": "istio"}, ["spec.analysis.match[0]"]),
    (AB, {"spec.analysis.match": [{}], "spec.provider": "kubernetes"}, []),
    (
        WEIGHTED,
        {"spec.analysis.sessionAffinity.cookieName": ""},
        ["spec.analysis.sessionAffinity.cookieName"],
    ),
    (
        WEIGHTED,
        {"spec.analysis.sessionAffinity.primaryCookieName": "shop-canary"},
        ["spec.analysis.sessionAffinity.primaryCookieName"],
    ),
    (
        WEIGHTED,
        {"spec.analysis.sessionAffinity.cookieName": "a=b"},
        ["spec.analysis.sessionAffinity.cookieName"],
    ),
    (WEIGHTED, {"spec.analysis.sessionAffinity.maxAge": -1}, ["spec.analysis.sessionAffinity.maxAge?"]),
    (WEIGHTED, {"spec.analysis.metrics": [{"name": "odd"}]}, ["spec.analysis.metrics[0]"]),
    (WEIGHTED, {"spec.analysis.metrics": [{"name": "odd", "query": "up"}]}, []),
    (
        WEIGHTED,
        {"spec.analysis.metrics.1.templateRef.name": ""},
        ["spec.analysis.metrics[1].templateRef.name"],
    ),
    (WEIGHTED, {"spec.analysis.metrics.0.interval": "1min"}, ["spec.analysis.metrics[0].interval"]),
    (WEIGHTED, {"spec.analysis.metrics.0.interval": "0m"}, ["spec.analysis.metrics[0].interval"]),
    (
        WEIGHTED,
        {"spec.analysis.metrics.0.thresholdRange": {"min": 2, "max": 1}},
        ["spec.analysis.metrics[0].thresholdRange"],
    ),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "gate.shop/open"}, ["spec.analysis.webhooks[0].url"]),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "http://"}, ["spec.analysis.webhooks[0].url"]),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "http://a:port"}, ["spec.analysis.webhooks[0].url"]),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "http://[::1"}, ["spec.analysis.webhooks[0].url"]),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "http://a/b c"}, ["spec.analysis.webhooks[0].url"]),
    (WEIGHTED, {"spec.analysis.webhooks.0.url": "https://u:p@[::1]:8443/x?y=z"}, []),
    (
        WEIGHTED,
        {"spec.analysis.webhooks.0.url": "ftp://a", "spec.analysis.webhooks.0.type": "event"},
        ["spec.analysis.webhooks[0].url?"],
    ),
    (WEIGHTED, {"spec.analysis.webhooks.1.timeout": "5sec"}, ["spec.analysis.webhooks[1].timeout?"]),
    (WEIGHTED, {"spec.analysis.webhooks.1.timeout": "0s"}, ["spec.analysis.webhooks[1].timeout?"]),
    (WEIGHTED, {"spec.analysis.webhooks.1.retries": -1}, ["spec.analysis.webhooks[1].retries?"]),
    (WEIGHTED, {"spec.analysis.alerts.0.providerRef.name": ""}, ["spec.analysis.alerts[0].providerRef.name"]),
    (WEIGHTED, {"spec.metricsServer": "prometheus:9090"}, ["spec.metricsServer"]),
    (WEIGHTED, {"spec.metricsServer": "http://prometheus:9090/prom"}, []),
]


@pytest.mark.parametrize(("base", "changes", "expected"), CASES, ids=lambda value: str(value)[:60])
def test_finds(base: Object, changes: dict[str, Any], expected: list[str]) -> None:
    """Each mistake is found once, at its field, and nothing else is."""
    findings = judged(base, changes)

    assert fields(findings) == expected
    assert all(found.error.problem and found.error.fix for found in findings)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (
            {"spec.analysis.metrics.1.templateRef.namespace": "other"},
            "spec.analysis.metrics[1].templateRef.namespace",
        ),
        (
            {"spec.analysis.alerts.0.providerRef.namespace": "other"},
            "spec.analysis.alerts[0].providerRef.namespace",
        ),
        (
            {"spec.upstreamRef": {"apiVersion": "v1", "kind": "Upstream", "name": "u", "namespace": "other"}},
            "spec.upstreamRef.namespace",
        ),
    ],
)
def test_keeps_references_in_the_namespace(changes: dict[str, Any], field: str) -> None:
    """References into other namespaces are errors where the operator forbids them, and fine elsewhere."""
    own = {"spec.analysis.metrics.1.templateRef.namespace": "shop"}

    assert fields(judged(WEIGHTED, own, cross=False)) == []
    assert fields(judged(WEIGHTED, own | changes, cross=False)) == [field]
    assert fields(judged(WEIGHTED, own | changes, cross=True)) == []


def test_the_operators_provider_counts_where_the_canary_names_none() -> None:
    """Except for the pairing with Knative, which the Canary itself has to declare."""
    assert fields(judged(WEIGHTED, {"spec.provider": ""}, provider="nginx")) == ["spec.ingressRef"]
    assert fields(judged(WEIGHTED, {"spec.provider": ""}, provider="none")) == ["spec.provider"]
    assert fields(judged(KNATIVE, {"spec.provider": ""}, provider="knative")) == ["spec.provider"]


def test_known_providers() -> None:
    """The values of the CRD, and their variants with a mesh, which only the operator's flag can hold."""
    assert all(is_known_provider(provider) for provider in PROVIDERS)
    assert is_known_provider("smi:v1alpha1:istio")
    assert not any(is_known_provider(name) for name in ("", "none", "smi", "gatewayapi", "appmesh:v1beta1"))


def test_all_mistakes_are_told_together() -> None:
    """Nobody has to fix one mistake to hear of the next."""
    findings = judged(
        WEIGHTED, {"spec.service.port": 0, "spec.analysis.maxWeight": 200, "spec.analysis.webhooks.0.url": ""}
    )
    assert fields(findings) == [
        "spec.service.port",
        "spec.analysis.maxWeight?",
        "spec.analysis.webhooks[0].url",
    ]


def test_a_url_is_never_repeated() -> None:
    """A URL can hold a password or a token; the message names the field instead."""
    (found,) = judged(WEIGHTED, {"spec.analysis.webhooks.0.url": "gopher://user:s3cret@host/"})
    assert "s3cret" not in str(found.error)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"spec.query": " \n"}, ["spec.query"]),
        ({"spec.provider.address": GONE}, ["spec.provider.address"]),
        ({"spec.provider.address": "prometheus:9090"}, ["spec.provider.address"]),
        ({"spec.provider.secretRef": {"name": ""}}, ["spec.provider.secretRef.name"]),
        ({"spec.provider": {"type": "cloudwatch"}}, ["spec.provider.region"]),
        ({"spec.provider": {"type": "cloudwatch", "region": "eu-central-1"}}, []),
        ({"spec.provider": {"type": "datadog"}}, ["spec.provider.secretRef"]),
        ({"spec.provider": {"type": "keptn"}}, []),
        (
            {
                "spec.provider": {
                    "type": "splunk",
                    "address": "wss://stream.example.com",
                    "secretRef": {"name": "s"},
                }
            },
            [],
        ),
    ],
)
def test_judges_metric_templates(changes: dict[str, Any], expected: list[str]) -> None:
    """What a backend needs is known before the first query."""
    template = MetricTemplate.parse(changed(METRIC_TEMPLATE, changes))
    assert fields(validate_metric_template(template)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"spec.secretRef": GONE}, ["spec.address"]),
        ({"spec.secretRef": GONE, "spec.address": "hooks.example.com"}, ["spec.address"]),
        ({"spec.secretRef": GONE, "spec.address": "https://hooks.example.com/T0"}, []),
        ({"spec.address": "https://hooks.example.com/T0"}, []),
        ({"spec.secretRef.name": ""}, ["spec.secretRef.name"]),
        ({"spec.proxy": "proxy"}, ["spec.proxy"]),
    ],
)
def test_judges_alert_providers(changes: dict[str, Any], expected: list[str]) -> None:
    """An address or a Secret is needed; both are fine, although the API server refuses them."""
    provider = AlertProvider.parse(changed(ALERT_PROVIDER, changes))
    assert fields(validate_alert_provider(provider)) == expected
