"""Canaries that need an object of their user's: what is wrong with it is said, and users stay on the primary."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.kube.objects import DEPLOYMENT, INGRESS, SERVICE, Object, name_of
from flagger.routing.providers.apisix import APISIX_ROUTE
from tests.fakes.cluster import ROUTE, SHOP, a_canary, a_target
from tests.runtime.operating import METRICS, Bench

INGRESS_REF = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "public"}
APISIX_REF = {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "public"}
HTTP_REF = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "public"}
EDGE = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}


def an_object(kind: str, api_version: str, spec: Object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "public", "namespace": SHOP},
        "spec": spec,
    }


def an_ingress(service: str) -> Object:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return an_object("Ingress", "networking.k8s.io/v1", {"rules": [{"http": {"paths": [path]}}]})


def an_apisix_route(service: str) -> Object:
    backends = [{"serviceName": service, "servicePort": 80}]
    rule = {"name": "all", "match": {"paths": ["/*"]}, "backends": backends}
    return an_object("ApisixRoute", "apisix.apache.org/v2", {"http": [rule]})


def an_http_route(*services: str) -> Object:
    backends = [{"name": service, "port": 80, "weight": int(service != services[-1])} for service in services]
    spec = {"parentRefs": [EDGE], "rules": [{"backendRefs": backends}]}
    return an_object("HTTPRoute", "gateway.networking.k8s.io/v1", spec)


SKIPPER: dict[str, Any] = {"provider": "skipper", "ingressRef": INGRESS_REF}
APISIX: dict[str, Any] = {"provider": "apisix", "routeRef": APISIX_REF}
IN_PLACE: dict[str, Any] = {"service": {"gatewayRefs": [], "routeRef": HTTP_REF}}
BOTH = ("checkout-primary", "checkout-canary")


@pytest.mark.parametrize(
    ("spec", "found", "message", "right"),
    [
        pytest.param(
            SKIPPER,
            None,
            "Ingress public.shop not found: create it, or name another one in spec.ingressRef",
            an_ingress("checkout"),
            id="no Ingress",
        ),
        pytest.param(
            SKIPPER,
            an_ingress("other"),
            "Ingress public.shop has no path to the Service checkout: add one",
            an_ingress("checkout"),
            id="an Ingress to something else",
        ),
        pytest.param(
            APISIX,
            None,
            "ApisixRoute public.shop not found: create it, or name another one in spec.routeRef",
            an_apisix_route("checkout"),
            id="no ApisixRoute",
        ),
        pytest.param(
            APISIX,
            an_apisix_route("other"),
            "ApisixRoute public.shop: no rule of spec.http has the backend checkout",
            an_apisix_route("checkout"),
            id="an ApisixRoute to something else",
        ),
        pytest.param(
            IN_PLACE,
            None,
            "HTTPRoute public.shop not found: spec.service.routeRefs of checkout.shop refers to it",
            an_http_route(*BOTH),
            id="no HTTPRoute",
        ),
        pytest.param(
            IN_PLACE,
            an_http_route("checkout"),
            "HTTPRoute public.shop has no list of destinations (spec.rules.*.backendRefs) with both "
            "checkout-primary and checkout-canary",
            an_http_route(*BOTH),
            id="an HTTPRoute without both sides",
        ),
    ],
)
async def test_what_is_missing_is_said(
    bench: Bench, spec: dict[str, Any], found: Object | None, message: str, right: Object
) -> None:
    """The target keeps its pods and the apex Service leads to the primary; once it is there, all is well."""
    lab = bench.lab
    await lab.add(a_target(), a_canary(**spec), *([found] if found else []))
    await bench.tick()
    await lab.rolled_out("checkout-primary")

    assert await bench.tick() == 30

    assert message in (await bench.told())[-1]
    assert (await bench.status()).get("phase") == "Initializing"
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2
    assert (await lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    for kind in (ROUTE, INGRESS, APISIX_ROUTE):
        assert {name_of(obj) for obj in (await lab.client.list(kind, SHOP)).items} <= {"public"}

    if found is None:
        await lab.add(right)
    else:
        kind = next(kind for kind in (ROUTE, INGRESS, APISIX_ROUTE) if kind.kind == right["kind"])
        await lab.change(kind, {"spec": right["spec"]}, "public")
    await bench.tick()
    assert (await bench.status())["phase"] == "Initialized"


@pytest.mark.parametrize(("provider", "field"), [("skipper", "spec.ingressRef"), ("apisix", "spec.routeRef")])
async def test_a_reference_that_is_not_given(bench: Bench, provider: str, field: str) -> None:
    """Named before anything is made."""
    await bench.lab.add(a_target(), a_canary(provider=provider))

    assert await bench.tick() is None

    (event,) = await bench.told()
    assert event.startswith(f"W: {field}: is missing, and provider {provider} needs it")
    assert await bench.lab.cluster.get(DEPLOYMENT, SHOP, "checkout-primary") is None


async def test_an_original_that_is_lost_in_mid_run(bench: Bench) -> None:
    """The run stops where it is and says why; another revision still brings everybody home."""
    lab = bench.lab
    await lab.add(an_ingress("checkout"))
    analysis = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}
    await bench.initialized(a_target(), a_canary(analysis=analysis, **SKIPPER))
    await at_first_step(bench)
    assert (await bench.status())["canaryWeight"] == 20
    await lab.remove(INGRESS, "public")

    for _ in range(2):
        await bench.tick()

    assert "Ingress public.shop not found" in (await bench.told())[-1]
    assert '"checkout-canary":20' in await annotations(bench)
    await bench.push("podinfo:3")
    await bench.tick()
    assert '"checkout-canary":0' in await annotations(bench)


async def at_first_step(bench: Bench) -> None:
    """A new revision that has its first weight."""
    await bench.push()
    await bench.tick()
    await bench.lab.rolled_out("checkout")
    await bench.tick()


async def annotations(bench: Bench) -> str:
    return str((await bench.lab.get(INGRESS, "public-canary"))["metadata"]["annotations"])


async def test_a_route_that_its_gateway_rejects(bench: Bench) -> None:
    """The run stays at its weight and says who refuses; it goes on when the Gateway has taken the route."""
    lab = bench.lab
    await lab.add(an_http_route(*BOTH))
    analysis = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}
    canary = a_canary(analysis=analysis, **IN_PLACE)
    await bench.initialized(a_target(), canary)
    await at_first_step(bench)
    await report(bench, "False")

    for _ in range(2):
        await bench.tick()

    assert "HTTPRoute public.shop is not accepted by edge: Accepted=False" in (await bench.told())[-1]
    assert await weights(bench) == [80, 20]
    await report(bench, "True")
    await bench.tick()
    assert await weights(bench) == [60, 40]


async def report(bench: Bench, status: str) -> None:
    """What the Gateway's controller says of the route as it is."""
    generation = (await bench.lab.get(ROUTE, "public"))["metadata"]["generation"]
    condition = {"type": "Accepted", "status": status, "reason": "X", "message": ""}
    condition |= {"observedGeneration": generation, "lastTransitionTime": "2030-01-01T00:00:00Z"}
    parents = [{"parentRef": EDGE, "controllerName": "x.test/y", "conditions": [condition]}]
    await bench.lab.change(ROUTE, {"status": {"parents": parents}}, "public", subresource="status")


async def weights(bench: Bench) -> list[int]:
    (rule,) = (await bench.lab.get(ROUTE, "public"))["spec"]["rules"]
    return [backend["weight"] for backend in rule["backendRefs"]]
