"""Routes of meshes, as the operator writes them, followed by real requests through a real Envoy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.kube.cluster import Cluster
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.sync import Routes
from flagger.routing.table import router_for
from flagger.sandbox.dataplane.kinds import HTTP_ROUTE_GROUP, TRAFFIC_SPLIT
from tests.fakes.cluster import a_canary
from tests.sandbox.dataplane.objects import meta
from tests.sandbox.dataplane.world import DEADLINE, World

pytestmark = pytest.mark.sandbox

MESHES = ["appmesh", "appmesh:v1beta2", "kuma", "linkerd", "osm", "smi:v1alpha3"]
REQUESTS = 300


@dataclass
class Mesh:
    """A release of `checkout` in a world, and the hand that moves its traffic; `url` is where clients ask."""

    routes: Routes
    provider: str
    url: str

    async def move(self, split: Split, service: dict[str, Any] | None = None, **analysis: Any) -> None:
        """Write the routes of a split."""
        router = router_for(self.provider)
        assert router is not None
        moves = analysis or {"stepWeight": 10}
        obj = a_canary(service={"meshName": "global", **(service or {})}, analysis=moves)
        obj["metadata"]["uid"] = "uid-of-checkout"
        await self.routes.reconcile(Canary.parse(obj), router, split)


@asynccontextmanager
async def a_mesh(world: World, provider: str) -> AsyncIterator[Mesh]:
    """Primary and canary behind the apex Service, and no route yet."""
    apex = await world.release()
    async with Cluster(world.client) as cluster:
        await world.answers(f"http://{apex}/", "primary-1")
        yield Mesh(Routes(cluster), provider, f"http://{apex}/")


@pytest.mark.parametrize("provider", MESHES)
async def test_requests_follow_the_split(world: World, provider: str) -> None:
    """All to one side, a part of them to the other, and back again."""
    async with a_mesh(world, provider) as mesh:
        await mesh.move(AWAY)
        await world.answers(mesh.url, "canary-1")
        assert await world.count(mesh.url, 20) == {"canary-1": 20}

        await mesh.move(Split(40))
        await world.answers(mesh.url, "primary-1")
        found = await world.count(mesh.url, REQUESTS)
        assert sum(found.values()) == REQUESTS
        assert 0.25 * REQUESTS < found["canary-1"] < 0.55 * REQUESTS  # five standard deviations

        await mesh.move(HOME)
        async with asyncio.timeout(DEADLINE):
            while await world.count(mesh.url, 20) != {"primary-1": 20}:
                pass


@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2"])
async def test_an_ab_test_takes_matching_requests_only(world: World, provider: str) -> None:
    """Each of several conditions suffices; everybody else stays with the primary."""
    conditions = [
        {"headers": {"x-canary": {"exact": "insider"}, "x-zone": {"prefix": "eu"}}},
        {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
    ]
    async with a_mesh(world, provider) as mesh:
        await mesh.move(AWAY, iterations=2, match=conditions)
        await world.answers(mesh.url, "canary-1", headers={"cookie": "canary=always"})

        both = {"x-canary": "insider", "x-zone": "eu-1"}
        assert (await world.get(mesh.url, headers=both)).startswith("canary-1")
        assert (await world.get(mesh.url, headers={"x-canary": "insider"})).startswith("primary-1")
        assert await world.count(mesh.url, 20) == {"primary-1": 20}


@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2"])
async def test_requests_are_repeated_as_asked(world: World, provider: str) -> None:
    """An error of the kind that is named is asked for again, another one is passed on."""
    retries = {"attempts": 2, "perTryTimeout": "1s", "retryOn": "server-error"}
    async with a_mesh(world, provider) as mesh:
        await mesh.move(AWAY, {"retries": retries})
        await world.answers(mesh.url, "canary-1")

        for status, attempts in ((503, 3), (404, 1)):
            before = len(world.apps["canary-1"].seen)
            assert await world.get(f"{mesh.url}status/{status}") == str(status)
            assert len(world.apps["canary-1"].seen) - before == attempts


async def test_requests_are_cut_off_as_asked(world: World) -> None:
    """`service.timeout` is the limit of the whole answer."""
    async with a_mesh(world, "appmesh:v1beta2") as mesh:
        await mesh.move(HOME, {"timeout": "100ms"})
        await world.answers(f"{mesh.url}slow", "504")


async def test_a_split_of_matching_requests(world: World) -> None:
    """A TrafficSplit with an HTTPRouteGroup leaves all other requests with the Service's own pods."""
    async with a_mesh(world, "smi:v1alpha3") as mesh:
        group = {"matches": [{"name": "beta", "pathRegex": "/beta/.*", "headers": [{"x-canary": "in.*"}]}]}
        await world.client.create(HTTP_ROUTE_GROUP, {"metadata": meta("insiders"), "spec": group})
        await mesh.move(AWAY)
        ref = {"matches": [{"kind": "HTTPRouteGroup", "name": "insiders"}]}
        await world.client.patch(TRAFFIC_SPLIT, "checkout", "shop", {"spec": ref})

        await world.answers(mesh.url, "primary-1")
        assert (await world.get(f"{mesh.url}beta/1", headers={"x-canary": "insider"})).startswith("canary-1")
        assert (await world.get(f"{mesh.url}beta/1")).startswith("primary-1")

        await mesh.move(Split(50))
        stored = await world.client.get(TRAFFIC_SPLIT, "checkout", "shop")
        assert stored["spec"]["matches"] == ref["matches"]
