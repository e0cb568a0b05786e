"""The CRDs of the Gateway API, on the embedded API server and on a real one."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flagger.kube.client import Client
from flagger.kube.errors import Invalid
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import Kind, Object
from flagger.sandbox.apiserver.server import ApiServer
from flagger.sandbox.dataplane.kinds import GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, REFERENCE_GRANT
from tests.fakes.envtest import ControlPlane
from tests.sandbox.dataplane.objects import a_backend, a_rule, meta
from tests.sandbox.dataplane.world import install


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.envtest)])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """An API server with the CRDs."""
    if request.param == "real":
        plane: ControlPlane = request.getfixturevalue("control_plane")
        async with Client(plane.connection) as client:
            await install(client)
            yield client
        return
    async with ApiServer() as server:
        file = tmp_path / "kubeconfig"
        file.write_text(server.kubeconfig())
        async with Client(load_connection(file)) as client:
            await install(client)
            yield client


def a_spec(kind: Kind, **changes: Any) -> Object:
    """A valid object of a kind with some fields of its spec changed; None takes one out."""
    spec = SPECS[kind.kind] | changes
    return {
        "metadata": meta("checkout", "shop" if kind.namespaced else None),
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


LISTENER = {"name": "http", "port": 80, "protocol": "HTTP"}
SPECS: dict[str, Object] = {
    "GatewayClass": {"controllerName": "example.com/gateway"},
    "Gateway": {"gatewayClassName": "istio", "listeners": [LISTENER]},
    "HTTPRoute": {
        "parentRefs": [{"name": "edge"}],
        "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
    },
    "GRPCRoute": {
        "parentRefs": [{"name": "edge"}],
        "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
    },
    "ReferenceGrant": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}],
        "to": [{"group": "", "kind": "Service"}],
    },
}


def rule(**changes: Any) -> list[Object]:
    return [a_rule() | changes]


def filtered(kind: str, **member: Any) -> list[Object]:
    return rule(filters=[{"type": kind} | member])


REFUSED = [
    (GATEWAY_CLASS, {"controllerName": "istio"}, "spec.controllerName"),
    (GATEWAY, {"gatewayClassName": None}, "spec.gatewayClassName"),
    (GATEWAY, {"listeners": []}, "spec.listeners"),
    (GATEWAY, {"listeners": [LISTENER | {"port": 0}]}, "spec.listeners[0].port"),
    (GATEWAY, {"listeners": [LISTENER | {"hostname": "*"}]}, "spec.listeners[0].hostname"),
    (GATEWAY, {"listeners": [LISTENER | {"tls": {"mode": "Simple"}}]}, "spec.listeners[0].tls.mode"),
    (
        GATEWAY,
        {"listeners": [LISTENER | {"allowedRoutes": {"namespaces": {"from": "Any"}}}]},
        "spec.listeners[0].allowedRoutes.namespaces.from",
    ),
    (HTTP_ROUTE, {"parentRefs": [{"sectionName": "x"}]}, "spec.parentRefs[0].name"),
    (HTTP_ROUTE, {"hostnames": ["*"]}, "spec.hostnames[0]"),
    (HTTP_ROUTE, {"hostnames": ["A.test"]}, "spec.hostnames[0]"),
    (
        HTTP_ROUTE,
        {"rules": rule(matches=[{"path": {"type": "Prefix"}}])},
        "spec.rules[0].matches[0].path.type",
    ),
    (HTTP_ROUTE, {"rules": rule(matches=[{"path": {"value": "a"}}])}, "spec.rules[0].matches[0].path"),
    (HTTP_ROUTE, {"rules": rule(matches=[{"method": "get"}])}, "spec.rules[0].matches[0].method"),
    (
        HTTP_ROUTE,
        {"rules": rule(matches=[{"headers": [{"type": "Prefix", "name": "a", "value": "b"}]}])},
        "spec.rules[0].matches[0].headers[0].type",
    ),
    (HTTP_ROUTE, {"rules": rule(backendRefs=[a_backend("web", -1)])}, "spec.rules[0].backendRefs[0].weight"),
    (HTTP_ROUTE, {"rules": rule(backendRefs=[{"name": "web"}])}, "spec.rules[0].backendRefs[0]"),
    (HTTP_ROUTE, {"rules": filtered("Fault")}, "spec.rules[0].filters[0].type"),
    (HTTP_ROUTE, {"rules": filtered("CORS")}, "spec.rules[0].filters[0]"),
    (
        HTTP_ROUTE,
        {"rules": filtered("URLRewrite", urlRewrite={"path": {"type": "ReplaceFullPath"}})},
        "spec.rules[0].filters[0].urlRewrite.path",
    ),
    (
        HTTP_ROUTE,
        {"rules": filtered("RequestRedirect", requestRedirect={"statusCode": 200})},
        "spec.rules[0].filters[0].requestRedirect.statusCode",
    ),
    (
        HTTP_ROUTE,
        {"rules": filtered("CORS", cors={"allowOrigins": ["a.test"]})},
        "spec.rules[0].filters[0].cors.allowOrigins[0]",
    ),
    (HTTP_ROUTE, {"rules": rule(timeouts={"request": "1.5s"})}, "spec.rules[0].timeouts.request"),
    (GRPC_ROUTE, {"rules": rule(matches=[{"method": {"type": "Exact"}}])}, "spec.rules[0].matches[0].method"),
    (GRPC_ROUTE, {"rules": filtered("URLRewrite")}, "spec.rules[0].filters[0].type"),
    (REFERENCE_GRANT, {"to": []}, "spec.to"),
]


async def test_refuses_what_the_real_ones_refuse(client: Client) -> None:
    """The message names the field; unchanged, each object is taken."""
    for kind in (GATEWAY_CLASS, GATEWAY, HTTP_ROUTE, GRPC_ROUTE, REFERENCE_GRANT):
        await client.create(kind, a_spec(kind), dry_run=True)

    for kind, change, field in REFUSED:
        with pytest.raises(Invalid) as refusal:
            await client.create(kind, a_spec(kind, **change), dry_run=True)
        assert without_indexes(field) in without_indexes(str(refusal.value)), (kind.kind, change)


def without_indexes(path: str) -> str:
    """Old servers leave the indexes out."""
    return re.sub(r"\[\d+\]", "", path)


async def test_fills_in_what_the_real_ones_fill_in(client: Client) -> None:
    """So that what a client writes and reads back differs here in the same places."""
    route = (await client.create(HTTP_ROUTE, a_spec(HTTP_ROUTE), dry_run=True))["spec"]
    gateway = (await client.create(GATEWAY, a_spec(GATEWAY), dry_run=True))["spec"]

    assert route == {
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}],
            }
        ],
    }
    assert gateway["listeners"] == [LISTENER | {"allowedRoutes": {"namespaces": {"from": "Same"}}}]


async def test_both_versions_are_the_same_objects(client: Client) -> None:
    """A route written as v1beta1 is read as v1."""
    old = replace(HTTP_ROUTE, version="v1beta1")
    obj = a_spec(HTTP_ROUTE) | {"apiVersion": old.api_version, "kind": "HTTPRoute"}
    obj["metadata"]["name"] = "versions"

    await client.create(old, obj)

    found = await client.get(HTTP_ROUTE, "versions", "shop")
    assert found["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert found["spec"]["rules"][0]["backendRefs"][0]["name"] == "web"
    await client.delete(HTTP_ROUTE, "versions", "shop")
