"""An operator on a lab's cluster, and the metrics server that it asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from flagger.kube.objects import DEPLOYMENT, EVENT, Object
from flagger.runtime.advance import Advance
from flagger.runtime.kinds import CANARY
from flagger.runtime.main import Operator, world_of
from flagger.runtime.settings import Settings
from flagger.runtime.snapshot import read
from flagger.runtime.world import World
from tests.fakes.cluster import ROUTE, SHOP, Lab, until
from tests.fakes.scripted import Received, Reply, ScriptedServer

START = datetime(2030, 1, 5, 10, 0, tzinfo=UTC)
KEY = f"{SHOP}/checkout"
METRICS = [
    {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
]


class MetricsServer(ScriptedServer):
    """Answers every query with one number: success rates in percent, latencies in seconds.

    `meanwhile` is done, once, while the next query waits for its answer.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.rate, self.latency = 100.0, 0.02
        self.meanwhile: Callable[[], Coroutine[Any, Any, Any]] | None = None

    def _answer(self, request: Received) -> Reply:
        query = unquote_plus(request.target) + request.body.decode()
        value = 1.0 if "vector(1)" in query else self.latency if "histogram_quantile" in query else self.rate
        result = [{"metric": {}, "value": [0, str(value)]}]
        wait = 0.0
        if self.meanwhile is not None:
            self.errand, self.meanwhile, wait = asyncio.create_task(self.meanwhile()), None, 0.1
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return Reply(200, json.dumps(body).encode(), [("Content-Type", "application/json")], wait)


@dataclass
class Bench:
    """Ticks by hand: a lab, the world of an operator on it, and a clock that moves only when it is told to."""

    lab: Lab
    world: World
    metrics: MetricsServer
    now: datetime = START

    def __post_init__(self) -> None:
        self.world = replace(self.world, clock=lambda: self.now)
        self.restart()
        self._telling = asyncio.create_task(self.world.announcer.run())

    def restart(self) -> None:
        """Forget everything that only a process remembers."""
        self.advance = Advance(self.world)

    async def close(self) -> None:
        """Stop telling."""
        self._telling.cancel()
        await asyncio.gather(self._telling, return_exceptions=True)

    async def tick(self, key: str = KEY, after: float = 30.0) -> float | None:
        """One tick some seconds later, and everything told; returns the seconds until the next."""
        self.now += timedelta(seconds=after)
        again = await self.advance(key)
        await self.world.announcer.drain()
        return again

    async def known(self) -> None:
        """Have the Canaries that there are, and no others, be known to each other, as a watch does."""
        for name in ("checkout", "first", "second"):
            self.world.registry.forget(f"{SHOP}/{name}")
        for stored in await self.lab.cluster.list(CANARY, SHOP):
            self.world.registry.remember(read(stored), ())

    async def status(self) -> Object:
        """The Canary's status as stored."""
        return (await self.lab.get(CANARY)).get("status", {})

    async def initialized(self, target: Object, canary: Object) -> None:
        """Go through initialization, up to an idle Canary."""
        await self.lab.add(target, canary)
        await self.tick()
        for name in ("checkout", "checkout-primary"):
            await self.lab.rolled_out(name)
        await self.tick()
        await self.lab.rolled_out("checkout")
        assert (await self.status())["phase"] == "Initialized"

    async def push(self, image: str = "podinfo:2", **template: Any) -> None:
        """A new revision of the target, rolled out at once."""
        containers = [{"name": "web", "image": image}]
        await self.lab.change(
            DEPLOYMENT, {"spec": {"template": {"spec": {"containers": containers}} | template}}
        )
        await self.lab.rolled_out("checkout")

    async def weights(self) -> list[int]:
        """The weights of primary and canary in the route's last rule with two backends."""
        return weights_of(await self.lab.get(ROUTE))

    async def told(self) -> list[str]:
        """All Events so far, as `N: message` or `W: message`, in the order in which they came first."""
        events = (await self.lab.client.list(EVENT, SHOP)).items
        events.sort(key=lambda event: event["metadata"]["name"])
        return [f"{event['type'][0]}: {event['message']}" for event in events]


def weights_of(route: Object) -> list[int]:
    """The weights of a route's first rule."""
    return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]


def settings(metrics: MetricsServer, **changes: Any) -> Settings:
    """An operator's settings in tests."""
    floor = timedelta(milliseconds=50)
    return Settings(metrics_server=metrics.url, analysis_interval_floor=floor, **changes)


@asynccontextmanager
async def a_bench(lab: Lab, **changes: Any) -> AsyncIterator[Bench]:
    """Ticks by hand on a lab."""
    async with MetricsServer() as metrics, AsyncExitStack() as stack:
        world = await world_of(stack, lab.cluster, lab.told, settings(metrics, **changes))
        bench = Bench(lab, world, metrics)
        stack.push_async_callback(bench.close)
        yield bench


@asynccontextmanager
async def an_operator(lab: Lab, **changes: Any) -> AsyncIterator[Operator]:
    """A running operator, woken by changes and by time; its metrics are good."""
    async with MetricsServer() as metrics, AsyncExitStack() as stack:
        world = await world_of(stack, lab.cluster, lab.told, settings(metrics, **changes))
        operator = Operator.of(world)
        running = asyncio.create_task(operator.run())
        try:
            yield operator
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def phase_is(lab: Lab, *phases: str, name: str = "checkout", within: float = 10.0) -> Object:
    """Wait until a Canary is in one of the phases; returns it."""

    async def there() -> Object | None:
        canary = await lab.get(CANARY, name)
        return canary if canary.get("status", {}).get("phase") in phases else None

    return await until(there, f"{name} is {' or '.join(phases)}", within)
