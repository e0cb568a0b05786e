"""VirtualServices, followed by real requests through a real Envoy."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import pytest

from flagger.kube.objects import SERVICE, Object
from flagger.sandbox.dataplane.kinds import ISTIO_GATEWAY, VIRTUAL_SERVICE
from tests.sandbox.dataplane.test_istio import a_door, a_gateway, a_virtual_service, to
from tests.sandbox.dataplane.world import DEADLINE, World

pytestmark = pytest.mark.sandbox


async def put(world: World, service: Object) -> None:
    """Create a VirtualService, in the form that a user would write."""
    metadata = {"name": service["metadata"]["name"], "namespace": "shop"}
    spec = {name: value for name, value in service["spec"].items() if value is not None}
    await world.client.create(VIRTUAL_SERVICE, {"metadata": metadata, "spec": spec})


async def change(world: World, **spec: Any) -> None:
    await world.client.patch(VIRTUAL_SERVICE, "checkout", "shop", {"spec": spec})


def split(primary: int, canary: int, **more: Any) -> Object:
    route = to("primary", "canary", **more)
    for entry, weight in zip(route["route"], (primary, canary), strict=True):
        entry["weight"] = weight
    return route


async def test_mesh_weights_follow_without_loss(world: World) -> None:
    """The apex Service divides as told, and no request is lost while that changes."""
    url = f"http://{await world.release()}"
    await put(world, a_virtual_service(split(100, 0)))
    await world.answers(url, "primary-1")
    failed: list[str] = []
    stop = asyncio.Event()

    async def users() -> None:
        while not stop.is_set():
            said = await world.get(url)
            if not said.startswith(("primary-1", "canary-1")):
                failed.append(said)

    asking = asyncio.create_task(users())
    for weight in (30, 70, 0):
        await change(world, http=[split(100 - weight, weight)])
        await divided(world, url, weight)
    stop.set()
    await asking
    assert failed == []


async def divided(world: World, url: str, weight: int) -> None:
    """Wait until about this share of a hundred requests is the canary's."""
    async with asyncio.timeout(DEADLINE):
        while True:
            share = (await world.count(url, 100))["canary-1"]
            if share == weight or (0 < weight < 100 and abs(share - weight) < 15):
                return


ROUTES = [
    to("canary", match=[{"headers": {"x-canary": {"exact": "insider"}}}]),
    to("canary", match=[{"headers": {"Cookie": {"regex": ".*co-canary.*abc.*"}}}]),
    to(
        "canary", match=[{"uri": {"prefix": "/new"}, "withoutHeaders": {"x-old": {}}}], rewrite={"uri": "/v2"}
    ),
    to("canary", match=[{"queryParams": {"beta": {"exact": "1"}}}]),
    to("primary", match=[{"uri": {"prefix": "/slow"}}], timeout="100ms"),
    to("primary", match=[{"uri": {"prefix": "/broken"}}], fault={"abort": {"httpStatus": 418}}),
    to("primary", match=[{"uri": {"prefix": "/late"}}], fault={"delay": {"fixedDelay": "0.3s"}}),
    {"match": [{"uri": {"prefix": "/said"}}], "directResponse": {"status": 410}},
    {"match": [{"uri": {"prefix": "/inner"}}], "delegate": {"name": "inner"}},
    to("nobody", match=[{"uri": {"prefix": "/missing"}}]),
    to("primary"),
]
ASKED: list[tuple[str, dict[str, str], str]] = [
    ("/", {}, "primary-1 /"),
    ("/", {"x-canary": "insider"}, "canary-1 /"),
    ("/", {"x-canary": "outsider"}, "primary-1 /"),
    ("/", {"cookie": "a=b; co-canary=abc"}, "canary-1 /"),
    ("/new/a", {}, "canary-1 /v2/a"),
    ("/newest", {}, "canary-1 /v2est"),
    ("/new/a", {"x-old": "1"}, "primary-1 /new/a"),
    ("/?beta=1", {}, "canary-1 /?beta=1"),
    ("/slow", {}, "504"),
    ("/broken", {}, "418"),
    ("/late", {}, "primary-1 /late"),
    ("/said", {}, "410"),
    ("/inner/a", {}, "canary-1 /inner/a"),
    ("/missing", {}, "500"),
]


async def test_follows_rules(world: World) -> None:
    """Conditions, rewrites, time limits, faults and delegates work as Istio has them."""
    url = f"http://{await world.release()}"
    await put(world, a_virtual_service(to("canary"), name="inner", hosts=[]))
    await put(world, a_virtual_service(*ROUTES))
    await world.answers(f"{url}/said", "410")

    for path, headers, expected in ASKED:
        assert await world.get(f"{url}{path}", headers=headers) == expected, (path, headers)


async def test_an_ingress_gateway(world: World) -> None:
    """Users who come through a front door reach a host by its name, keep their cookies, and are copied."""
    await world.release()
    canary = await world.pod("canary-2", "checkout")
    door = a_door(metadata={**a_door()["metadata"], "namespace": "shop"})
    door["spec"].pop("clusterIP")
    address = (await world.client.create(SERVICE, door))["spec"]["clusterIP"]
    gateway = a_gateway("*.example.test")
    await world.client.create(ISTIO_GATEWAY, {**gateway, "metadata": {"name": "public", "namespace": "shop"}})
    cookie = {"response": {"add": {"Set-Cookie": "side=primary; Max-Age=60"}}}
    route = to("primary", mirror={"host": "checkout-canary"}, headers={"request": {"set": {"x-by": "istio"}}})
    route["route"][0]["headers"] = cookie
    await put(world, a_virtual_service(route, hosts=["a.example.test", "b.test"], gateways=["public"]))
    url = f"http://{address}"
    host = {"Host": "a.example.test"}
    await world.answers(url, "primary-1", headers=host)

    async with world.http.get(url, headers=host) as answer:
        assert answer.headers["Set-Cookie"] == "side=primary; Max-Age=60"
    assert await world.get(url, headers={"Host": "b.test"}) == "404"
    async with asyncio.timeout(DEADLINE):
        while not canary.seen:
            await world.get(url, headers=host)
    assert canary.seen[-1].headers["x-by"] == "istio"


async def test_connections_are_divided(world: World) -> None:
    """A Service of which nothing is known but that it takes connections is divided by connection."""
    await world.pod("primary-1", "checkout-primary")
    await world.pod("canary-1", "checkout")
    for name, app in (("checkout-primary", ""), ("checkout-canary", "checkout")):
        await world.service(name, app=app, port_name="tcp")
    url = f"http://{await world.service('checkout', app='checkout-primary', port_name='tcp')}"
    await world.answers(url, "primary-1")
    await put(world, a_virtual_service(http=None, tcp=[split(50, 50)]))

    async with asyncio.timeout(DEADLINE):
        while len(found := await over_connections(url, 20)) < 2:
            pass

    assert found.keys() == {"primary-1", "canary-1"}


async def over_connections(url: str, number: int) -> Counter[str]:
    """Who answers on each of several connections."""
    found: Counter[str] = Counter()
    for _ in range(number):
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found[(await answer.text()).split(" ")[0]] += 1
    return found
