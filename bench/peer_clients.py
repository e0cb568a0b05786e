"""The Kubernetes client beside lightkube and the official asyncio client: the same requests to the same stub."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from bench import loops
from bench.figures import Figure, Unavailable, at_least
from bench.rates import per_second
from bench.stub_api import FEW, stub
from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.objects import DEPLOYMENT

RUNS, IN_FLIGHT = 3, 32
NAMESPACE, NAME = "ns-0", "app-0"


@dataclass(frozen=True, slots=True)
class Verbs:
    """The two things every client can do: get one object, list a namespace; the list gives its length."""

    get: Callable[[], Awaitable[object]]
    list: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Speed:
    """Requests a second one after the other and at once, and seconds for a list."""

    sequential: float
    concurrent: float
    listing: float


def run() -> list[Figure]:
    """Let the clients take turns; figures are of ours, ratios say how many times as fast as the other it is."""
    with stub() as url:
        rounds = [loops.run(_round(url)) for _ in range(RUNS)]
    return [figure for peer in rounds[0] if peer != "ours" for figure in _compared(peer, rounds)]


async def _round(url: str) -> Mapping[str, Speed]:
    async with ours(url) as mine, lightkube(url) as light, official(url) as theirs:
        clients = {"ours": mine, "lightkube": light, "kubernetes.aio": theirs}
        return {name: await _speed(verbs) for name, verbs in clients.items()}


async def _speed(verbs: Verbs) -> Speed:
    times = []
    for _ in range(5):
        gc.collect()
        start = time.perf_counter()
        assert await verbs.list() == FEW
        times.append(time.perf_counter() - start)
    one = await per_second(lambda _: verbs.get())
    many = await per_second(lambda _: verbs.get(), IN_FLIGHT)
    return Speed(one, many, statistics.median(times))


def _compared(peer: str, rounds: list[Mapping[str, Speed]]) -> list[Figure]:
    """How many times as fast ours is, round by round."""
    aspects: Mapping[str, Callable[[Speed], float]] = {
        "GET, one after the other": lambda speed: speed.sequential,
        f"GET, {IN_FLIGHT} in flight": lambda speed: speed.concurrent,
        f"list of {FEW:,}": lambda speed: 1 / speed.listing,
    }
    found = []
    for name, aspect in aspects.items():
        mine = statistics.median(aspect(turn["ours"]) for turn in rounds)
        its = statistics.median(aspect(turn[peer]) for turn in rounds)
        ratios = tuple(aspect(turn["ours"]) / aspect(turn[peer]) for turn in rounds)
        note = f"per second: ours {mine:,.0f}, {peer} {its:,.0f}; dicts against its own types, {loops.NAME}"
        found.append(Figure(f"{name}, {peer}", "times as fast", ratios, at_least(1), note))
    return found


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Verbs]:
    """Our own client."""
    async with Client(Connection(url)) as client:

        async def listed() -> int:
            return len((await client.list(DEPLOYMENT, NAMESPACE)).items)

        yield Verbs(lambda: client.get(DEPLOYMENT, NAME, NAMESPACE), listed)


@contextlib.asynccontextmanager
async def lightkube(url: str) -> AsyncIterator[Verbs]:
    """The asynchronous client of lightkube."""
    try:
        from lightkube import AsyncClient, KubeConfig
        from lightkube.config.models import Cluster, User
        from lightkube.resources.apps_v1 import Deployment
    except ImportError as error:
        raise Unavailable("lightkube is not installed (fix: tools/setup.sh dev)") from error
    config = KubeConfig.from_one(cluster=Cluster(server=url), user=User(token="none"))
    client = AsyncClient(config=config, namespace=NAMESPACE, trust_env=False)

    async def listed() -> int:
        return len([item async for item in client.list(Deployment)])

    async with contextlib.aclosing(client):
        yield Verbs(lambda: client.get(Deployment, NAME), listed)


@contextlib.asynccontextmanager
async def official(url: str) -> AsyncIterator[Verbs]:
    """The official client, asynchronous and typed."""
    try:
        from kubernetes.aio import client as library
    except ImportError as error:
        raise Unavailable("kubernetes is not installed (fix: tools/setup.sh dev)") from error
    async with library.ApiClient(library.Configuration(host=url)) as client:
        apps = library.AppsV1Api(client)

        async def listed() -> int:
            return len((await apps.list_namespaced_deployment(NAMESPACE)).items)

        yield Verbs(lambda: apps.read_namespaced_deployment(NAME, NAMESPACE), listed)
