"""Targets follow from annotations, their labels from the objects."""

from typing import Any

import pytest

from flagger.sandbox.metrics.targets import ENVOY_ANNOTATION, Target, targets_of

SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/port": "9797"}


def a_pod(**changes: Any) -> dict[str, Any]:
    """A running pod that wants to be scraped."""
    return {
        "metadata": {
            "name": changes.get("name", "web-7c9d8f-abcde"),
            "namespace": "shop",
            "labels": changes.get("labels", {"app": "web", "app.kubernetes.io/part-of": "shop"}),
            "annotations": changes.get("annotations", SCRAPE),
        },
        "spec": {"containers": changes.get("containers", [])},
        "status": {"phase": changes.get("phase", "Running"), "podIP": changes.get("ip", "127.128.0.5")},
    }


def a_service(**changes: Any) -> dict[str, Any]:
    """A Service of that pod that wants to be scraped."""
    return {
        "metadata": {
            "name": "web",
            "namespace": changes.get("namespace", "shop"),
            "labels": {"team": "a"},
            "annotations": changes.get("annotations", SCRAPE),
        },
        "spec": {"selector": changes.get("selector", {"app": "web"})},
    }


def the_target(*pods: Any, services: Any = (), nodes: Any = ()) -> Target:
    """The only target of these objects."""
    (target,) = targets_of(pods, services, nodes)
    return target


def test_pod_labels() -> None:
    """A pod's series can be found by the names of the usual scrape configuration."""
    target = the_target(a_pod())

    assert target.url == "http://127.128.0.5:9797/metrics"
    assert dict(target.labels) == {
        "job": "kubernetes-pods",
        "instance": "127.128.0.5:9797",
        "namespace": "shop",
        "pod": "web-7c9d8f-abcde",
        "kubernetes_namespace": "shop",
        "kubernetes_pod_name": "web-7c9d8f-abcde",
        "app": "web",
        "app_kubernetes_io_part_of": "shop",
    }


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"annotations": {}}, id="not asked for"),
        pytest.param({"annotations": None}, id="no annotations"),
        pytest.param({"annotations": {"prometheus.io/scrape": "false"}}, id="refused"),
        pytest.param({"phase": "Pending"}, id="not running yet"),
        pytest.param({"phase": "Succeeded"}, id="over"),
        pytest.param({"ip": None}, id="without address"),
    ],
)
def test_not_scraped(changes: dict[str, Any]) -> None:
    """Only running pods are scraped, and only those that ask for it."""
    assert targets_of([a_pod(**changes)], [], []) == frozenset()


@pytest.mark.parametrize(
    ("annotations", "url"),
    [
        ({"prometheus.io/path": "/stats?x=1"}, "http://127.128.0.5:9797/stats?x=1"),
        ({"prometheus.io/path": "stats"}, "http://127.128.0.5:9797/stats"),
        ({"prometheus.io/scheme": "https"}, "https://127.128.0.5:9797/metrics"),
        ({"prometheus.io/scheme": "gopher"}, "http://127.128.0.5:9797/metrics"),
    ],
)
def test_annotations(annotations: dict[str, str], url: str) -> None:
    """Annotations change where metrics are fetched."""
    assert the_target(a_pod(annotations=SCRAPE | annotations)).url == url


@pytest.mark.parametrize(
    ("port", "containers", "addresses"),
    [
        pytest.param(
            "9797", [{"ports": [{"containerPort": 80}, {"containerPort": 81}]}], [":9797"], id="named"
        ),
        pytest.param(
            None,
            [{"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 90}]}],
            [":80", ":90"],
            id="all",
        ),
        pytest.param("metrics", [{"ports": [{"containerPort": 80}]}], [":80"], id="not a number"),
        pytest.param(None, [{}], [":80"], id="none declared"),
    ],
)
def test_ports(port: str | None, containers: Any, addresses: list[str]) -> None:
    """Without a port in the annotations every declared one is scraped."""
    annotations = {"prometheus.io/scrape": "true"} | ({"prometheus.io/port": port} if port else {})

    targets = targets_of([a_pod(annotations=annotations, containers=containers)], [], [])

    assert sorted(target.address for target in targets) == [f"127.128.0.5{port}" for port in addresses]


def test_service() -> None:
    """The pods behind an annotated Service are scraped under the Service's names."""
    pods = [a_pod(annotations={}), a_pod(annotations={}, name="other", labels={"app": "other"})]

    target = the_target(
        *pods, services=[a_service(), a_service(namespace="elsewhere"), a_service(selector=None)]
    )

    assert dict(target.labels) == {
        "job": "kubernetes-service-endpoints",
        "instance": "127.128.0.5:9797",
        "namespace": "shop",
        "service": "web",
        "kubernetes_namespace": "shop",
        "kubernetes_name": "web",
        "team": "a",
    }


@pytest.mark.parametrize(
    ("annotation", "url"),
    [
        ("127.0.0.1:19000", "http://127.0.0.1:19000/stats/prometheus"),
        ("127.0.0.1:19000/stats/prometheus?usedonly", "http://127.0.0.1:19000/stats/prometheus?usedonly"),
    ],
)
def test_envoy(annotation: str, url: str) -> None:
    """The data plane's own metrics are found through the Node."""
    node = {"metadata": {"name": "sandbox", "annotations": {ENVOY_ANNOTATION: annotation}}}

    target = the_target(nodes=[node, {"metadata": {"name": "other"}}])

    assert target.url == url
    assert dict(target.labels) == {"job": "envoy", "instance": "127.0.0.1:19000", "node": "sandbox"}
