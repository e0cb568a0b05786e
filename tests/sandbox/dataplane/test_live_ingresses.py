"""Ingress controllers' objects, followed by real requests through a real Envoy at their front doors."""

import pytest

from flagger.kube.objects import INGRESS, Kind, Object
from flagger.sandbox.dataplane.kinds import APISIX_ROUTE, INGRESS_ROUTE, TRAEFIK_SERVICE
from tests.sandbox.dataplane.objects import meta
from tests.sandbox.dataplane.world import World

pytestmark = pytest.mark.sandbox

HOST = {"Host": "checkout.example.test"}
REQUESTS = 400


def a_path(service: str) -> Object:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    return {"path": "/", "pathType": "Prefix", "backend": backend}


def an_ingress(name: str, *services: str, **annotations: str) -> Object:
    spec = {"rules": [{"host": HOST["Host"], "http": {"paths": [a_path(service) for service in services]}}]}
    found = {f"zalando.org/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": meta(name, annotations=found), "spec": spec}


def skipper(weight: int) -> list[tuple[Kind, Object]]:
    weights = f'{{"checkout-canary":{weight},"checkout-primary":{100 - weight}}}'
    sides = ("checkout-primary", "checkout-canary")
    copy = an_ingress("copy", *sides, backend_weights=weights, skipper_predicate="Weight(100)")
    return [(INGRESS, an_ingress("original", "checkout")), (INGRESS, copy)]


def traefik(weight: int) -> list[tuple[Kind, Object]]:
    sides = {"checkout-primary": 100 - weight, "checkout-canary": weight}
    services = [{"name": name, "port": 80, "weight": share} for name, share in sides.items()]
    route = {
        "match": f"Host(`{HOST['Host']}`)",
        "services": [{"name": "checkout", "kind": "TraefikService"}],
    }
    return [
        (TRAEFIK_SERVICE, {"metadata": meta("checkout"), "spec": {"weighted": {"services": services}}}),
        (INGRESS_ROUTE, {"metadata": meta("checkout"), "spec": {"routes": [route]}}),
    ]


def apisix(weight: int) -> list[tuple[Kind, Object]]:
    match = {"hosts": [HOST["Host"]], "paths": ["/*"]}
    sides = {"checkout-primary": 100 - weight, "checkout-canary": weight}
    split = [{"serviceName": name, "servicePort": 80, "weight": share} for name, share in sides.items()]
    alone = [{"serviceName": "checkout", "servicePort": 80}]
    return [
        (APISIX_ROUTE, {"metadata": meta(name), "spec": {"http": [{"name": "api", "match": match, **more}]}})
        for name, more in (("original", {"backends": alone}), ("copy", {"backends": split, "priority": 9}))
    ]


FAMILIES = {"apisix": apisix, "skipper": skipper, "traefik": traefik}


@pytest.mark.parametrize("family", FAMILIES)
async def test_divides_requests(world: World, family: str) -> None:
    """The weights of the objects are the shares of the requests; other hosts find nothing."""
    await world.release()
    address = await world.front_door(family)
    for kind, obj in FAMILIES[family](25):
        await world.client.create(kind, obj)
    url = f"http://{address}/"
    await world.answers(url, "canary-1", headers=HOST)

    counts = await world.count(url, REQUESTS, headers=HOST)

    assert counts.keys() == {"primary-1", "canary-1"}
    assert abs(counts["canary-1"] - REQUESTS / 4) < 5 * (REQUESTS * 3 / 16) ** 0.5
    assert await world.get(url, headers={"Host": "other.example.test"}) == "404"
