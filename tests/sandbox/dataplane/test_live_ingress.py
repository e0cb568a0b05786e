"""Ingress controllers' objects followed by real requests through a real Envoy, at their front doors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from flagger.kube.objects import INGRESS, SERVICE, Kind, Object
from flagger.sandbox.dataplane.kinds import (
    GLOO_ROUTE_TABLE,
    GLOO_UPSTREAM,
    GLOO_VIRTUAL_SERVICE,
    HTTP_PROXY,
)
from tests.sandbox.dataplane.objects import a_service, meta
from tests.sandbox.dataplane.world import World

pytestmark = pytest.mark.sandbox

Asked = tuple[str, dict[str, str], str]
"""A path, headers, and the beginning of the answer."""

PREFIX = "nginx.ingress.kubernetes.io"
PRIMARY, CANARY = "checkout-primary", "checkout-canary"


async def a_front(world: World, family: str) -> str:
    """A front door of a family; returns its URL."""
    service = a_service("front", app=None, port=8080)
    service["metadata"]["labels"] = {"sandbox.flagger.app/ingress": family}
    created = await world.client.create(SERVICE, service)
    return f"http://{created['spec']['clusterIP']}:8080"


async def add(world: World, *objects: tuple[Kind, Object]) -> None:
    for kind, obj in objects:
        await world.client.create(kind, obj)


async def check(world: World, front: str, asked: Sequence[Asked]) -> None:
    """Wait until the first is answered as expected; the others are then as well."""
    for path, headers, expected in asked:
        sent = {"Host": "checkout.test", **headers}
        await world.answers(front + path, expected, headers=sent)


async def shares(world: World, front: str, requests: int = 200, **headers: str) -> float:
    """The canary's share of some requests."""
    count = await world.count(f"{front}/", requests, headers={"Host": "checkout.test", **headers})
    assert count.keys() <= {"primary-1", "canary-1"}
    return count["canary-1"] / requests


def an_ingress(name: str, service: str, *paths: str, **annotations: str) -> Object:
    found = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}},
        }
        for path in paths or ("/",)
    ]
    own = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    rules = [{"host": "checkout.test", "http": {"paths": found}}]
    return {"metadata": meta(name, annotations=own), "spec": {"ingressClassName": "nginx", "rules": rules}}


async def test_canary_ingresses(world: World) -> None:
    """A weight moves requests; a header and then a cookie decide before it."""
    await world.release()
    front = await a_front(world, "nginx")
    canary = an_ingress("public-canary", CANARY, canary="true", canary_weight="0")
    await add(world, (INGRESS, an_ingress("public", PRIMARY, "/", "/a")), (INGRESS, canary))
    await check(world, front, [("/", {}, "primary-1 /"), ("/a/b", {}, "primary-1 /a/b")])
    await world.answers(f"{front}/", "404", headers={"Host": "other.test"})

    await annotate(world, canary_weight="30")
    await check(world, front, [("/", {}, "canary-1 /")])
    assert 0.15 < await shares(world, front) < 0.45
    assert (await world.count(f"{front}/a", 20, headers={"Host": "checkout.test"})).keys() == {"primary-1"}

    tests = {"canary_by_header": "x-beta", "canary_by_header_value": "yes", "canary_by_cookie": "beta"}
    await annotate(world, canary_weight="0", **tests)
    asked: list[Asked] = [
        ("/", {"X-Beta": "yes"}, "canary-1"),
        ("/", {"x-beta": "yes!"}, "primary-1"),
        ("/", {"cookie": "a=1; beta=always; b=2"}, "canary-1"),
        ("/", {"cookie": "a=1; beta=sometimes"}, "primary-1"),
        ("/", {"x-beta": "yes", "cookie": "beta=never"}, "canary-1"),
        ("/", {}, "primary-1"),
    ]
    await check(world, front, asked)

    await annotate(
        world, canary_weight="100", canary_by_header_value=None, canary_by_header_pattern="^in.*r$"
    )
    asked = [
        ("/", {"x-beta": "other", "cookie": "beta=never"}, "primary-1"),
        ("/", {"x-beta": "insider", "cookie": "beta=never"}, "canary-1"),
        ("/", {}, "canary-1"),
    ]
    await check(world, front, asked)


async def annotate(world: World, **annotations: str | None) -> None:
    """Change the annotations of the canary Ingress."""
    own = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    await world.client.patch(INGRESS, "public-canary", "shop", {"metadata": {"annotations": own}})


def a_proxy(name: str, **spec: Any) -> Object:
    return {"metadata": meta(name), "spec": spec}


def services(primary: int, canary: int) -> list[Object]:
    """Services with the weights that are above 0."""
    both = {"checkout-primary": primary, "checkout-canary": canary}
    return [
        {"name": name, "port": 80, **({"weight": weight} if weight else {})} for name, weight in both.items()
    ]


async def test_included_proxies(world: World) -> None:
    """Weights, conditions, rewrites, copies and time limits of a proxy that a root includes, and its status."""
    await world.release()
    canary = await world.pod("mirrored-1", "mirrored")
    await world.service("mirrored")
    front = await a_front(world, "contour")
    root = a_proxy("root", virtualhost={"fqdn": "checkout.test"}, includes=[{"name": "checkout"}])
    header = {"name": "x-beta", "contains": "yes"}
    routes = [
        {"conditions": [{"prefix": "/", "header": header}], "services": services(0, 100)},
        {"conditions": [{"prefix": "/"}], "services": services(100, 0)},
        {
            "conditions": [{"prefix": "/copied"}],
            "services": [*services(100, 0), {"name": "mirrored", "port": 80, "mirror": True}],
            "pathRewritePolicy": {"replacePrefix": [{"replacement": "/new"}]},
        },
        {
            "conditions": [{"prefix": "/slow"}],
            "services": services(100, 0),
            "timeoutPolicy": {"response": "100ms"},
        },
    ]
    await add(world, (HTTP_PROXY, root), (HTTP_PROXY, a_proxy("checkout", routes=routes)))
    asked: list[Asked] = [
        ("/", {}, "primary-1 /"),
        ("/", {"x-beta": "oh yes"}, "canary-1 /"),
        ("/", {"x-beta": "no"}, "primary-1 /"),
        ("/copied/a", {}, "primary-1 /new/a"),
        ("/slow", {}, "504"),
    ]
    await check(world, front, asked)
    assert {request.path for request in canary.seen} == {"/new/a"}
    for name in ("root", "checkout"):
        proxy = a_proxy(name)
        await world.until(
            HTTP_PROXY, proxy, lambda obj: (obj.get("status") or {}).get("currentStatus") == "valid"
        )

    routes[1]["services"] = services(70, 30)
    await world.client.patch(HTTP_PROXY, "checkout", "shop", {"spec": {"routes": routes}})
    await check(world, front, [("/", {}, "canary-1 /")])
    assert 0.15 < await shares(world, front) < 0.45


async def test_delegated_tables(world: World) -> None:
    """A VirtualService delegates to a table whose Upstreams are Services; the header test comes first."""
    await world.release()
    front = await a_front(world, "gloo")
    delegate = {
        "matchers": [{"prefix": "/"}],
        "delegateAction": {"ref": {"name": "checkout", "namespace": "shop"}},
    }
    host = {"domains": ["checkout.test"], "routes": [delegate]}
    beta = {"headers": [{"name": "x-beta", "value": "yes"}]}
    await add(
        world,
        *((GLOO_UPSTREAM, an_upstream(name)) for name in (PRIMARY, CANARY)),
        (GLOO_VIRTUAL_SERVICE, a_proxy("checkout", virtualHost=host)),
        (GLOO_ROUTE_TABLE, a_proxy("checkout", routes=[a_route(0, 100, beta), a_route(100, 0)])),
    )
    asked: list[Asked] = [
        ("/a", {}, "primary-1 /a"),
        ("/a", {"x-beta": "yes"}, "canary-1 /a"),
        ("/a", {"x-beta": "no"}, "primary-1 /a"),
    ]
    await check(world, front, asked)

    await world.client.patch(GLOO_ROUTE_TABLE, "checkout", "shop", {"spec": {"routes": [a_route(70, 30)]}})
    await check(world, front, [("/", {}, "canary-1 /")])
    assert 0.15 < await shares(world, front) < 0.45
    assert await shares(world, front, 20, **{"x-beta": "yes"}) < 1

    def accepted(obj: Object) -> bool:
        said = (obj.get("status") or {}).get("statuses") or {}
        return bool(said.get("gloo-system", {}).get("state") == "Accepted")

    await world.until(GLOO_ROUTE_TABLE, a_proxy("checkout"), accepted)


def an_upstream(service: str) -> Object:
    return a_proxy(service, kube={"serviceName": service, "serviceNamespace": "shop", "servicePort": 80})


def a_route(primary: int, canary: int, *matchers: Object) -> Object:
    destinations = [
        {"destination": {"upstream": {"name": name, "namespace": "shop"}}, "weight": weight or None}
        for name, weight in ((PRIMARY, primary), (CANARY, canary))
    ]
    action = {"multi": {"destinations": destinations}}
    return {"inheritablePathMatchers": True, "matchers": list(matchers), "routeAction": action}
