"""Names of Services, as an operator outside the cluster asks for them."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from flagger.kube.cluster import Cluster
from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, SERVICE, Object
from flagger.kube.resolver import ServiceResolver
from tests.kube.tiny_api import TinyApi, client_of, eventually, running


@asynccontextmanager
async def a_resolver(api: TinyApi) -> AsyncIterator[ServiceResolver]:
    async with running(api), client_of(api) as client, Cluster(client) as cluster:
        resolver = ServiceResolver(cluster)
        yield resolver
        await resolver.close()


def a_service(api: TinyApi, address: str = "127.96.0.7", **spec: object) -> None:
    api.put(SERVICE, "web", "shop", spec={"clusterIP": address, **spec})


def a_slice(api: TinyApi, name: str, *endpoints: Object) -> None:
    labels = {"kubernetes.io/service-name": "web"}
    made = api.put(ENDPOINT_SLICE, name, "shop", endpoints=list(endpoints))
    api.store("endpointslices", {**made, "metadata": {**made["metadata"], "labels": labels}}, "MODIFIED")


async def addresses(resolver: ServiceResolver, host: str, family: int = socket.AF_INET) -> list[str]:
    return [entry["host"] for entry in await resolver.resolve(host, 80, socket.AddressFamily(family))]


@pytest.mark.parametrize(
    "host", ["web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.svc.cluster.local."]
)
async def test_names_of_a_service(host: str) -> None:
    """All forms of a Service's name give its cluster address."""
    async with a_resolver(api := TinyApi()) as resolver:
        a_service(api)
        assert await addresses(resolver, host) == ["127.96.0.7"]


async def test_headless_service() -> None:
    """Without a cluster address the ready endpoints answer; unknown readiness counts as ready."""
    async with a_resolver(api := TinyApi()) as resolver:
        a_service(api, "None", clusterIPs=["None"])
        a_slice(
            api,
            "s1",
            {"addresses": ["127.128.0.2"], "conditions": {"ready": True}},
            {"addresses": ["127.128.0.1"]},
        )
        a_slice(api, "s2", {"addresses": ["127.128.0.9"], "conditions": {"ready": False}})
        assert await addresses(resolver, "web.shop") == ["127.128.0.1", "127.128.0.2"]


async def test_headless_service_on_an_old_cluster() -> None:
    """A server without EndpointSlices has Endpoints."""
    async with a_resolver(api := TinyApi(missing={"endpointslices"})) as resolver:
        a_service(api, "None")
        api.put(ENDPOINTS, "web", "shop", subsets=[{"addresses": [{"ip": "127.128.0.3"}]}, {}])
        assert await addresses(resolver, "web.shop") == ["127.128.0.3"]


async def test_families() -> None:
    """Addresses of the family asked for, or of both."""
    async with a_resolver(api := TinyApi()) as resolver:
        a_service(api, clusterIPs=["127.96.0.7", "fd00::7"])
        assert await addresses(resolver, "web.shop", socket.AF_INET6) == ["fd00::7"]
        assert await addresses(resolver, "web.shop", socket.AF_UNSPEC) == ["127.96.0.7", "fd00::7"]


async def test_service_without_endpoints() -> None:
    """A headless Service with nothing behind it is an error that says so."""
    async with a_resolver(api := TinyApi()) as resolver:
        a_service(api, "None")
        with pytest.raises(OSError, match="has no address"):
            await resolver.resolve("web.shop")


async def test_other_names_are_left_to_the_system() -> None:
    """Other names, names of no Service and external names are resolved as ever."""
    async with a_resolver(api := TinyApi()) as resolver:
        assert await addresses(resolver, "localhost") == ["127.0.0.1"]
        assert api.seen == []
        a_service(api, "", type="ExternalName", externalName="localhost")
        assert await addresses(resolver, "web.shop") == ["127.0.0.1"]


async def test_follows_the_cluster() -> None:
    """A Service whose address changes is found at the new one, without a new request."""
    changed: list[Object] = []
    async with running(api := TinyApi()), client_of(api) as client, Cluster(client) as cluster:
        resolver = ServiceResolver(cluster)
        a_service(api)
        assert await addresses(resolver, "web.shop") == ["127.96.0.7"]
        requests = len(api.seen)
        cluster.subscribe(SERVICE, lambda old, new: old and changed.append(new))
        a_service(api, "127.96.0.8")
        await eventually(lambda: changed)
        assert await addresses(resolver, "web.shop") == ["127.96.0.8"]
        assert len(api.seen) <= requests + 1  # the watch


async def test_with_an_http_client() -> None:
    """Aiohttp reaches a Service by name through it."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=f"hello at {request.host}")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with a_resolver(api := TinyApi()) as resolver:
        a_service(api, "127.0.0.1")
        connector = aiohttp.TCPConnector(resolver=resolver)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://web.shop:{port}/") as response,
        ):
            assert await response.text() == f"hello at web.shop:{port}"
    await runner.cleanup()
