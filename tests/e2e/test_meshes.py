"""A mesh takes over a service that users are calling."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from flagger.kube.objects import SERVICE
from tests.e2e.manifests import a_canary, a_deployment
from tests.e2e.stage import Stage, eventually

pytestmark = pytest.mark.sandbox

PORT = 9898
PAUSE = 0.01  # seconds between two requests


@dataclass
class Callers:
    """What users were answered so far: pods by name without their random ends, and failures."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@asynccontextmanager
async def callers(url: str) -> AsyncIterator[Callers]:
    """Somebody who calls a URL without pause while the block runs."""
    found = Callers()

    async def call() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                try:
                    async with session.get(url) as answer:
                        answer.raise_for_status()
                        pod = (await answer.json())["hostname"]
                        found.answers[pod.rsplit("-", 2)[0]] += 1
                except aiohttp.ClientError as error:
                    found.failures.append(repr(error))
                await asyncio.sleep(PAUSE)

    task = asyncio.create_task(call())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("provider", ["appmesh:v1beta2", "linkerd"])
async def test_users_notice_nothing_when_a_mesh_takes_over(stage: Stage, provider: str) -> None:
    """Whoever calls the Service while its Canary is made is answered: first by the old pods, then by the primary's."""
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    await stage.apply({"apiVersion": "v1", "kind": "Service", **service}, a_deployment("web", delay=1))
    address = (await stage.client.get(SERVICE, "web", stage.namespace))["spec"]["clusterIP"]

    async with callers(f"http://{address}:{PORT}/") as users:
        await eventually(lambda: users.answers["web"], "the first answer")
        users.failures.clear()
        canary = a_canary("web", spec={"provider": provider, "service": {"port": PORT}})
        await stage.apply(canary)
        await stage.phase("web", "Initialized")
        await eventually(lambda: users.answers["web-primary"] > 20, "answers of the primary")

    assert users.failures == []
