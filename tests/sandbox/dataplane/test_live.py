"""Real requests through a real Envoy, configured from objects on a real API."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from flagger.kube.objects import ENDPOINTS, NODE, POD, SERVICE
from flagger.sandbox.dataplane.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE,
    METRICS_ANNOTATION,
    NODE_NAME,
    PROXY_ANNOTATION,
)
from tests.sandbox.dataplane.objects import (
    a_backend,
    a_gateway,
    a_listener,
    a_route,
    a_rule,
    mesh_parent,
    meta,
    pod_status,
    split,
)
from tests.sandbox.dataplane.world import DEADLINE, World, parents, reasons

pytestmark = pytest.mark.sandbox


@dataclass
class Load:
    """What some clients that never stop asking were answered."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@asynccontextmanager
async def load(url: str, clients: int = 8, **headers: str) -> AsyncIterator[Load]:
    """Ask without pause while the block runs; anything but 200 is a failure."""
    found = Load()

    async def ask() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                try:
                    async with session.get(url, headers=headers) as answer:
                        text = await answer.text()
                except aiohttp.ClientError as error:
                    found.failures.append(repr(error))
                    continue
                found.answers[text.split(" ")[0]] += 1
                if answer.status != 200:
                    found.failures.append(f"{answer.status} {text}")

    tasks = [asyncio.create_task(ask()) for _ in range(clients)]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_splits_by_weight(world: World) -> None:
    """A Gateway sends requests to the backends by their weights, within binomial error."""
    await world.release()
    address = await world.gateway(a_gateway())
    await world.route(a_route("checkout", a_rule(*split(80, 20))))

    counts = await world.count(f"http://{address}/", 400)

    assert counts.keys() == {"primary-1", "canary-1"}
    assert abs(counts["canary-1"] - 80) < 4 * 8  # four standard deviations


async def test_service_addresses_lead_to_ready_pods(world: World) -> None:
    """A Service's address is served from its ready pods, and follows them as they come and go."""
    address = await world.service("web", port=8080, target=9000)
    await world.answers(f"http://{address}:8080/", "503")

    await world.pod("web-1", "web", port=9000)
    await world.answers(f"http://{address}:8080/a?b", "web-1 /a?b")

    await world.client.patch(
        POD,
        "web-1",
        "shop",
        {"status": pod_status("127.0.0.1", ready=False)},
        subresource="status",
    )
    await world.answers(f"http://{address}:8080/", "503")


async def test_other_protocols_pass_through(world: World) -> None:
    """A port that does not say that it speaks HTTP carries bytes; one for gRPC speaks HTTP/2 to the pods."""
    pod = await world.pod("web-1", "web")
    plain = await world.service("plain", app="web", port_name="redis")
    http = await world.service("http", app="web")
    rpc = await world.service("rpc", app=None, port_name="grpc")
    await world.client.create(
        ENDPOINTS,
        {
            "metadata": meta("rpc"),
            "subsets": [{"addresses": [{"ip": http}], "ports": [{"name": "grpc", "port": 80}]}],
        },
    )

    await world.answers(f"http://{plain}/", "web-1")
    assert "X-Forwarded-For" not in pod.seen[-1].headers
    await world.answers(f"http://{rpc}/", "web-1")  # by way of the other Service, which takes both
    metrics = await world.get(
        f"http://{world.plane.admin_address}/stats?filter=http.service_shop_http_80.downstream_cx"
    )
    assert "http.service_shop_http_80.downstream_cx_http2_total: 1" in metrics


async def test_errors_of_the_application_pass(world: World) -> None:
    """What a pod answers with is never asked again elsewhere: the 503 of one pod reaches the client."""
    pod = await world.pod("web-1", "web")
    address = await world.service("web")
    await world.answers(f"http://{address}/", "web-1")
    pod.seen.clear()

    assert await world.get(f"http://{address}/status/503") == "503"
    assert len(pod.seen) == 1


async def test_headless_services_have_no_listener_but_are_backends(world: World) -> None:
    """A route may lead to a headless Service."""
    await world.pod("web-1", "web")
    await world.service("web", clusterIP="None")
    address = await world.gateway(a_gateway())
    await world.route(a_route("web", a_rule(a_backend("web"))))

    assert await world.get(f"http://{address}/") == "web-1 /"


async def test_weight_changes_lose_nothing(world: World) -> None:
    """50 changes of the weights under load fail no request; each is in effect 200 ms after the write."""
    await world.release()
    address = await world.gateway(a_gateway())
    await world.route(a_route("checkout", a_rule(*split(100, 0))))
    url = f"http://{address}/"
    took: list[float] = []

    async with load(url) as found:
        for turn in range(50):
            to_canary = 100 * (turn % 2 == 0)
            await world.set_rules("checkout", a_rule(*split(100 - to_canary, to_canary)))
            began = time.perf_counter()
            while not (await world.get(url)).startswith("canary" if to_canary else "primary"):
                pass
            took.append(time.perf_counter() - began)

    assert found.failures == []
    assert sum(found.answers.values()) > 100
    assert sorted(took)[len(took) // 2] < 0.2


async def test_the_status_follows_the_effect(world: World) -> None:
    """Once a route's status is about its newest generation, no request goes the old way."""
    await world.release()
    address = await world.gateway(a_gateway())
    route = await world.route(a_route("checkout", a_rule(*split(100, 0))))

    for turn in range(6):
        to_canary = 100 * (turn % 2 == 0)
        await world.set_rules("checkout", a_rule(*split(100 - to_canary, to_canary)))
        await world.settled(route)
        assert (await world.get(f"http://{address}/")).startswith("canary" if to_canary else "primary")


async def test_pods_that_go_take_no_request_with_them(world: World) -> None:
    """A pod gets no new requests once its deletion is asked for, and can soon stop without failing any."""
    first = await world.pod("web-1", "web")
    address = await world.service("web")
    await world.answers(f"http://{address}/", "web-1")

    async with load(f"http://{address}/") as found:
        for number in range(2, 6):
            following = await world.pod(f"web-{number}", "web")
            await until_asked(following.seen)
            await world.terminate(first.name)
            await asyncio.sleep(0.1)  # the kubelet's way from the deletion to the signal
            before = len(first.seen)
            await first.runner.cleanup()
            assert len(first.seen) == before
            first = following

    assert found.failures == []
    assert found.answers.keys() == {f"web-{number}" for number in range(1, 6)}


async def test_dead_pods_that_are_said_to_be_ready_harm_nobody(world: World) -> None:
    """A request that cannot even be connected goes to another pod."""
    crashed = await world.pod("web-1", "web")
    await world.pod("web-2", "web")
    address = await world.service("web")
    await world.answers(f"http://{address}/", "web-1")

    await crashed.runner.cleanup()

    assert await world.count(f"http://{address}/", 50) == {"web-2": 50}


async def until_asked(seen: Sequence[object], times: int = 1) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(seen) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_mesh_routes_come_and_go_without_a_loss(world: World) -> None:
    """Under load, with connections that are kept: each request goes the newest way, and none fails."""
    apex = await world.release()
    await world.answers(f"http://{apex}/", "primary-1")

    async with load(f"http://{apex}/") as found:
        for _ in range(5):
            await world.route(a_route("checkout", a_rule(*split(0, 100)), parentRefs=[mesh_parent()]))
            assert await world.get(f"http://{apex}/") == "canary-1 /"
            await world.client.delete(HTTP_ROUTE, "checkout", "shop")
            await world.answers(f"http://{apex}/", "primary-1")

    assert found.failures == []


async def test_mesh_routes_split_a_services_own_address(world: World) -> None:
    """An HTTPRoute with a Service as parent decides about that Service's address, and about no other."""
    apex = await world.release()
    primary = (await world.client.get(SERVICE, "checkout-primary", "shop"))["spec"]["clusterIP"]
    await world.answers(f"http://{apex}/", "primary-1")

    await world.route(a_route("checkout", a_rule(*split(0, 100)), parentRefs=[mesh_parent()]))
    assert await world.count(f"http://{apex}/", 10) == {"canary-1": 10}
    assert await world.count(f"http://{primary}/", 10) == {"primary-1": 10}

    await world.client.delete(HTTP_ROUTE, "checkout", "shop")
    await world.answers(f"http://{apex}/", "primary-1")


async def test_tells_gateways_and_routes_what_became_of_them(world: World) -> None:
    """Statuses have addresses, attached routes and conditions with the reasons that the Gateway API names."""
    await world.release()
    plain, narrow = a_listener("http"), a_listener("narrow", 8080, hostname="*.a.test")
    await world.gateway(a_gateway("edge", plain, narrow))
    told = await world.route(a_route("checkout", hostnames=["shop.a.test"]))
    (parent,) = parents(told)
    assert parent["controllerName"] == "sandbox.flagger.app/gateway"
    assert reasons(parent) == {"Accepted": "Accepted", "ResolvedRefs": "ResolvedRefs"}

    lost = await world.route(a_route("lost", a_rule(a_backend("nobody"))))
    assert reasons(parents(lost)[0])["ResolvedRefs"] == "BackendNotFound"

    gateway = await world.until(
        GATEWAY, a_gateway(), lambda obj: obj["status"]["listeners"][0]["attachedRoutes"] == 2
    )
    assert gateway["status"]["listeners"][1]["attachedRoutes"] == 2
    assert reasons(gateway["status"]) == {"Accepted": "Accepted", "Programmed": "Programmed"}
    created = await world.client.get(GATEWAY_CLASS, "sandbox")
    assert created["spec"]["controllerName"] == "sandbox.flagger.app/gateway"


async def test_the_node_says_where_proxy_and_metrics_are(world: World) -> None:
    """Other parts of the sandbox find the forward proxy and Envoy's metrics on the Node."""
    node = await world.until(
        NODE,
        {"metadata": {"name": NODE_NAME}},
        lambda obj: METRICS_ANNOTATION in obj["metadata"].get("annotations", {}),
    )
    notes = node["metadata"]["annotations"]
    await world.release()
    address = await world.gateway(a_gateway())
    await world.route(a_route())
    await world.answers(f"http://{address}/", "primary-1")

    metrics = ""
    async with asyncio.timeout(DEADLINE):
        while "envoy_cluster_upstream_rq_time_bucket" not in metrics:
            await asyncio.sleep(0.1)
            metrics = await world.get(f"http://{notes[METRICS_ANNOTATION]}")

    assert notes[PROXY_ANNOTATION] == world.plane.proxy
    wanted = (
        'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="shop_checkout-primary_80"}'
    )
    assert wanted in metrics


async def test_the_proxy_reaches_services_and_gateways_by_name(world: World) -> None:
    """A client with `http_proxy` needs no name resolution."""
    apex = await world.release()
    await world.gateway(a_gateway())
    await world.route(a_route("checkout", a_rule(*split(0, 100)), hostnames=["shop.example.test"]))
    proxy = world.plane.proxy
    expected = {
        "http://checkout.shop/a": "primary-1 /a",
        "http://checkout.shop.svc.cluster.local:80/": "primary-1 /",
        "http://checkout-canary/": "canary-1 /",
        f"http://{apex}/": "primary-1 /",
        "http://shop.example.test/b": "canary-1 /b",
        "http://nobody.shop/": "502",
    }

    for url, answer in expected.items():
        assert await world.get(url, proxy=proxy) == answer, url
