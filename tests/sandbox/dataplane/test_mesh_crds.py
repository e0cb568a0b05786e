"""The CRDs of SMI, App Mesh and Kuma, on the embedded API server and on a real one."""

from typing import Any

import pytest

from flagger.kube.client import Client
from flagger.kube.errors import Invalid
from flagger.kube.objects import Kind, Object
from flagger.routing.providers.app_mesh import v1beta1, v1beta2
from flagger.sandbox.dataplane.kinds import HTTP_ROUTE_GROUP, TRAFFIC_ROUTE, TRAFFIC_SPLIT, VIRTUAL_NODE
from tests.sandbox.dataplane.objects import meta
from tests.sandbox.dataplane.test_crds import client, without_indexes

__all__ = ["client"]

QUANTITIES = Kind("split.smi-spec.io", "v1alpha1", "TrafficSplit", "trafficsplits")
PORT = {"portMapping": {"port": 80, "protocol": "http"}}
NODE_REF = {"virtualNodeRef": {"name": "web"}, "weight": 1}
TAGS = {"kuma.io/service": "web_shop_svc_80"}
SELECTORS = [{"match": TAGS}]


def a_route(**http: Any) -> Object:
    """The spec of a virtual router with one route."""
    whole = {"match": {"prefix": "/"}, "action": {"weightedTargets": [NODE_REF]}, **http}
    return {"listeners": [PORT], "routes": [{"name": "web", "httpRoute": whole}]}


def a_kuma_route(**spec: Any) -> Object:
    conf = {"split": [{"weight": 100, "destination": TAGS}]}
    return {"sources": SELECTORS, "destinations": SELECTORS, "conf": conf, **spec}


RETRIES = {"maxRetries": 1, "perRetryTimeout": {"unit": "ms", "value": 1}}
TAKEN = [
    (
        QUANTITIES,
        {"service": "web", "backends": [{"service": "a", "weight": "500m"}, {"service": "b", "weight": 1}]},
    ),
    (TRAFFIC_SPLIT, {"service": "web", "backends": [{"service": "a", "weight": 1}]}),
    (HTTP_ROUTE_GROUP, {"matches": [{"name": "a", "methods": ["GET"], "headers": [{"x": "1"}]}]}),
    (
        v1beta1.NODE,
        {"meshName": "m", "listeners": [PORT], "serviceDiscovery": {"dns": {"hostName": "web.shop"}}},
    ),
    (v1beta1.SERVICE, {"meshName": "m", "virtualRouter": {"name": "web", "listeners": [PORT]}, "routes": []}),
    (v1beta2.NODE, {"listeners": [PORT], "serviceDiscovery": {"dns": {"hostname": "web.shop"}}}),
    (v1beta2.ROUTER, a_route(retryPolicy={**RETRIES, "httpRetryEvents": ["gateway-error"]})),
    (v1beta2.SERVICE, {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "web"}}}}),
    (TRAFFIC_ROUTE, a_kuma_route()),
]
REFUSED = [
    (
        QUANTITIES,
        {"service": "web", "backends": [{"service": "a", "weight": "much"}]},
        "spec.backends[0].weight",
    ),
    (
        TRAFFIC_SPLIT,
        {"service": "web", "backends": [{"service": "a", "weight": "1"}]},
        "spec.backends[0].weight",
    ),
    (TRAFFIC_SPLIT, {"backends": []}, "spec.service"),
    (
        TRAFFIC_SPLIT,
        {"service": "web", "backends": [], "matches": [{"kind": "X", "name": "a"}]},
        "spec.matches[0].kind",
    ),
    (HTTP_ROUTE_GROUP, {"matches": [{"name": "a", "methods": ["get"]}]}, "spec.matches[0].methods[0]"),
    (v1beta1.NODE, {"listeners": [{"portMapping": {"port": 80}}]}, "spec.listeners[0].portMapping.protocol"),
    (v1beta2.NODE, {"listeners": [PORT, PORT]}, "spec.listeners"),
    (v1beta2.NODE, {"serviceDiscovery": {"dns": {"hostName": "web"}}}, "spec.serviceDiscovery.dns.hostname"),
    (v1beta2.ROUTER, {"listeners": []}, "spec.listeners"),
    (v1beta2.ROUTER, a_route(action={"weightedTargets": []}), "httpRoute.action.weightedTargets"),
    (
        v1beta2.ROUTER,
        a_route(action={"weightedTargets": [{**NODE_REF, "weight": 101}]}),
        "weightedTargets[0].weight",
    ),
    (v1beta2.ROUTER, a_route(retryPolicy={**RETRIES, "httpRetryEvents": ["5xx"]}), "httpRetryEvents[0]"),
    (v1beta2.ROUTER, a_route(timeout={"perRequest": {"unit": "m", "value": 1}}), "timeout.perRequest.unit"),
    (v1beta2.SERVICE, {"awsName": "web"}, "spec.provider"),
    (TRAFFIC_ROUTE, a_kuma_route(sources=[]), "spec.sources"),
    (
        TRAFFIC_ROUTE,
        a_kuma_route(conf={"split": [{"weight": -1, "destination": TAGS}]}),
        "spec.conf.split[0].weight",
    ),
    (TRAFFIC_ROUTE, a_kuma_route(conf={"split": [{"weight": 1}]}), "spec.conf.split[0].destination"),
]


async def test_refuses_what_the_real_ones_refuse(client: Client) -> None:
    """The message names the field; what is right is taken."""
    for kind, spec in TAKEN:
        await client.create(kind, an_object(kind, spec), dry_run=True)

    for kind, spec, field in REFUSED:
        with pytest.raises(Invalid) as refusal:
            await client.create(kind, an_object(kind, spec), dry_run=True)
        assert without_indexes(field) in without_indexes(str(refusal.value)), (kind.kind, spec)


async def test_what_one_version_of_app_mesh_writes_the_other_does_not_lose(client: Client) -> None:
    """The data plane reads both as one kind."""
    for kind, spec in ((v1beta1.NODE, TAKEN[3][1]), (v1beta2.NODE, TAKEN[5][1])):
        name = f"node-{kind.version}"
        await client.create(kind, {"metadata": meta(name), "spec": spec})

        assert (await client.get(VIRTUAL_NODE, name, "shop"))["spec"] == spec
        await client.delete(kind, name, "shop")


def an_object(kind: Kind, spec: Object) -> Object:
    return {"metadata": meta("web", "shop" if kind.namespaced else None), "spec": spec}
