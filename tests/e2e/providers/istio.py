"""Istio: users who come through its ingress gateway, and pods of the mesh that call the apex Service."""

from collections.abc import Mapping, Sequence
from typing import Any

from flagger.kube.objects import SERVICE, Kind, Object
from tests.e2e.providers.setting import AB, AFFINITY, BLUE_GREEN, CANARY, MIRROR, PORT, Setting

GATEWAY = Kind("networking.istio.io", "v1beta1", "Gateway", "gateways")
VIRTUAL_SERVICE = Kind("networking.istio.io", "v1beta1", "VirtualService", "virtualservices")
DOOR = "istio-ingressgateway"
DOOR_PORT = 8080


def a_door() -> Object:
    """The Service of the ingress gateway; in the sandbox its proxy is the data plane's."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": DOOR, "labels": {"sandbox.flagger.app/ingress": "istio"}},
        "spec": {"ports": [{"name": "http", "port": DOOR_PORT}]},
    }


def a_gateway() -> Object:
    """An Istio Gateway for all hosts."""
    server = {"port": {"number": DOOR_PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    return {
        "apiVersion": GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]},
    }


def _objects(_: str) -> Sequence[Object]:
    return a_door(), a_gateway()


def _through_the_gateway(name: str) -> Mapping[str, Any]:
    return {"service": {"port": PORT, "hosts": [f"{name}.example"], "gateways": ["public", "mesh"]}}


def _in_the_mesh(_: str) -> Mapping[str, Any]:
    return {"service": {"port": PORT, "timeout": "5s", "retries": {"attempts": 3, "perTryTimeout": "2s"}}}


INGRESS = Setting(
    provider="istio",
    strategies=(CANARY, AB, BLUE_GREEN, MIRROR, AFFINITY),
    objects=_objects,
    kinds=(GATEWAY, SERVICE),
    spec=_through_the_gateway,
    front=DOOR,
    tested={"x-version": "next"},
)
MESH = Setting(
    provider="istio",
    strategies=(CANARY, AB, BLUE_GREEN, MIRROR, AFFINITY),
    spec=_in_the_mesh,
    tested={"x-version": "next"},
)
