"""Which container ports are published beside the main one."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.workloads.ports import discover_ports
from tests.workloads.examples import basket

HTTP = {"name": "http", "containerPort": 8080}
GRPC = {"name": "grpc", "containerPort": 9000}
METRICS = {"name": "metrics", "containerPort": 9797}
PLAIN = {"containerPort": 7000}
LONG = "x" * 63


def discovered(service: dict[str, Any], *ports: dict[str, Any], container: str = "web") -> dict[str, int]:
    """What is discovered in a pod with one container, its mesh's sidecar, and an init container."""
    sidecar = {"name": "istio-proxy", "ports": [{"name": "envoy", "containerPort": 15090}]}
    init = {"name": "init", "ports": [{"name": "init", "containerPort": 1}]}
    web = {"name": container, "ports": list(ports)}
    template = {"spec": {"containers": [web, sidecar], "initContainers": [init]}}
    return discover_ports(basket({"portDiscovery": True, **service}), template)


@pytest.mark.parametrize(
    ("service", "found"),
    [
        pytest.param({"targetPort": "http"}, {"grpc": 9000}, id="main port by name"),
        pytest.param({"targetPort": 8080}, {"grpc": 9000}, id="main port by number"),
        pytest.param({"port": 8080, "targetPort": 0}, {"grpc": 9000}, id="main port is the container's"),
        pytest.param({"targetPort": 9000, "portName": "web"}, {"http": 8080}, id="the other one is main"),
    ],
)
def test_leaves_the_main_port_out(service: dict[str, Any], found: dict[str, int]) -> None:
    """The main port is published anyway."""
    assert discovered(service, HTTP, GRPC) == found


def test_names_the_unnamed() -> None:
    """A port without a name is called after its container and its place, which counts every port."""
    assert discovered({"targetPort": "http"}, HTTP, PLAIN) == {"tcp-web-1": 7000}


def test_names_are_no_longer_than_a_service_takes() -> None:
    """The container's name is shortened, the place is kept."""
    (name,) = discovered({"targetPort": "http"}, HTTP, PLAIN, container=LONG)

    assert (len(name), name[-2:]) == (63, "-1")


def test_the_later_of_two_names_counts() -> None:
    """As upstream has it."""
    assert discovered({"targetPort": "http"}, GRPC, {**GRPC, "containerPort": 9001}) == {"grpc": 9001}


@pytest.mark.parametrize(
    "clash",
    [
        pytest.param({"name": "http", "containerPort": 8081}, id="its name"),
        pytest.param({"name": "other", "containerPort": 80}, id="its number"),
    ],
)
def test_what_clashes_with_the_main_port_is_left_out(clash: dict[str, Any]) -> None:
    """Two ports of one name or number would make the whole Service invalid."""
    assert discovered({"targetPort": 8080}, HTTP, clash, METRICS) == {"metrics": 9797}


def test_two_names_of_one_number() -> None:
    """Only the first is published, for the same reason."""
    assert discovered({"targetPort": 8080}, GRPC, {**GRPC, "name": "alias"}) == {"grpc": 9000}


def test_only_when_asked_for() -> None:
    """By default nothing is discovered."""
    assert discovered({"portDiscovery": False}, HTTP, GRPC) == {}
