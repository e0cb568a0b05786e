"""One release through one provider: held at every step, with real requests counted by who answered them."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from flagger.demo.scene import Reference, way_in
from flagger.kube.objects import DEPLOYMENT, POD, SERVICE, Object
from tests.e2e.gatekeeper import NO, YES, Gatekeeper
from tests.e2e.manifests import a_canary, a_hook
from tests.e2e.providers.setting import AB, AFFINITY, BLUE_GREEN, CANARY, MIRROR, PORT, Setting
from tests.e2e.stage import Stage, eventually, image_of
from tests.fakes.scripted import Reply

REQUESTS = 300
SIGMAS = 5.0  # how far a count may be from the expected one: beyond it once in 1.7 million counts
AT_ONCE = 20  # requests in flight
HOST = "{name}.example"


class Answer(msgspec.Struct, frozen=True):
    """Who answered."""

    hostname: str = ""


@dataclass(frozen=True)
class Count:
    """Answers by side; `cookies` are the values of Set-Cookie that came with them."""

    primary: int
    canary: int
    cookies: frozenset[str]

    def __str__(self) -> str:
        return f"{self.primary}/{self.canary}"


@dataclass
class Trial:
    """A release that goes on only when it is let; `found` maps what was counted to the counts."""

    stage: Stage
    keeper: Gatekeeper
    setting: Setting
    strategy: str
    name: str
    found: dict[str, Count] = field(default_factory=dict)
    allowed: int = 0

    @property
    def path(self) -> str:
        """The gate of this release."""
        return f"/{self.name}"

    async def run(self) -> None:
        """Initialize, release a new version by the strategy, and see it promoted."""
        self.keeper.rules[self.path] = self._answer
        await self.stage.apply(*self.setting.objects(self.name))
        await self.stage.release(self.name, canary=self._canary())
        await self._opened()
        await self.expect("at rest", 0)
        await self.stage.push(self.name, "1.1.0")
        await self.stage.phase(self.name, "Progressing")
        await COURSES[self.strategy](self)
        self.allowed = 1000
        await self.stage.phase(self.name, "Succeeded")
        await self.expect("promoted", 0)
        primary = await self.stage.client.get(DEPLOYMENT, f"{self.name}-primary", self.stage.namespace)
        assert image_of(primary) == "1.1.0"

    async def step(self) -> None:
        """Let the release advance once; returns when it has and its new split has been in force for a tick."""
        calls = self.keeper.calls[self.path]
        self.allowed = 1
        await self.stage.until(lambda: self.allowed == 0, f"{self.name} advances")
        await self.held(calls + 1)

    async def held(self, since: int = 0) -> None:
        """Wait until the gate has refused again: what the tick before wrote is an interval old."""
        await self.stage.until(
            lambda: self.keeper.calls[self.path] > since + 1, f"{self.name} is held at its step"
        )

    async def expect(self, when: str, weight: int, headers: Mapping[str, str] | None = None) -> Count:
        """Count who answers; the canary's share must be `weight` percent within the binomial error."""
        count = await self.ask(headers or {})
        self.found[when] = count
        total, share = count.primary + count.canary, weight / 100
        assert total == REQUESTS, f"{self.name}: {when}: {total} of {REQUESTS} were answered"
        margin = SIGMAS * math.sqrt(total * share * (1 - share))
        assert abs(count.canary - total * share) <= margin, f"{self.name}: {when}: {count}, not {weight} %"
        return count

    async def ask(self, headers: Mapping[str, str]) -> Count:
        """Send the requests of as many new users; each is one attempt."""
        url, host = await self._entrance()
        limits = asyncio.Semaphore(AT_ONCE)
        hosts: list[str] = []
        cookies: set[str] = set()
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar) as session:

            async def one() -> None:
                async with limits, session.get(url, headers={"Host": host, **headers}) as response:
                    assert response.status == 200, f"{self.name}: HTTP {response.status} from {url}"
                    hosts.append(msgspec.json.decode(await response.read(), type=Answer).hostname)
                    cookies.update(response.headers.getall("Set-Cookie", ()))

            await asyncio.gather(*(one() for _ in range(REQUESTS)))
        canary = sum("-primary-" not in host for host in hosts)
        return Count(len(hosts) - canary, canary, frozenset(cookies))

    async def copies(self) -> int:
        """How many requests the canary's pods have answered, users' or copies of theirs."""
        pods = await self.stage.cluster.list(POD, self.stage.namespace, labels={"app": self.name})
        total = 0
        async with aiohttp.ClientSession() as session:
            for pod in pods:
                url = f"http://{pod['status']['podIP']}:{PORT}/metrics"
                async with session.get(url) as response:
                    total += _served(await response.text())
        return total

    def _answer(self) -> Reply:
        if self.allowed:
            self.allowed -= 1
            return YES
        return NO

    def _canary(self) -> Object:
        gate = a_hook("gate", "rollout", f"{self.keeper.url}{self.path}")
        analysis = {**self.setting.analysis_of(self.strategy), "threshold": 1000, "webhooks": [gate]}
        spec = {key: value for key, value in self.setting.spec(self.name).items() if key != "service"}
        canary = a_canary(self.name, spec={"provider": self.setting.provider, **spec}, **analysis)
        canary["spec"]["service"] = {"port": PORT, **self.setting.spec(self.name).get("service", {})}
        return canary

    async def _opened(self) -> None:
        """Wait until users get answers at all."""
        url, host = await self._entrance()
        async with aiohttp.ClientSession() as session:

            async def answered() -> bool:
                try:
                    async with session.get(url, headers={"Host": host}) as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(answered, f"{self.name}: an answer from {url}")

    async def _entrance(self) -> tuple[str, str]:
        """Where users go, and the name under which they ask."""
        host = HOST.format(name=self.name)
        if self.setting.gateway:
            gateway = Reference(self.stage.namespace, self.setting.gateway)
            return await way_in(self.stage.client, gateway, host), host
        name = self.setting.front or self.name
        service = await self.stage.client.get(SERVICE, name, self.stage.namespace)
        port = service["spec"]["ports"][0]["port"]
        called = host if self.setting.front else f"{self.name}.{self.stage.namespace}:{port}"
        return f"http://{service['spec']['clusterIP']}:{port}/", called


async def weighted(trial: Trial) -> None:
    """20 %, then 50 %."""
    for weight in (20, 50):
        if weight != 20:
            await trial.step()
        else:
            await trial.held()
        await trial.expect(f"at {weight} %", weight)


async def ab_testing(trial: Trial) -> None:
    """Requests that match go to the new version, all others stay."""
    assert trial.setting.tested is not None
    await trial.held()
    await trial.expect("everybody else", 0)
    await trial.expect("requests under test", 100, trial.setting.tested)


async def blue_green(trial: Trial) -> None:
    """No user sees the new version before it gets everybody at once."""
    await trial.held()
    await trial.expect("on trial", 0)
    if trial.setting.switches:
        await trial.step()
        await trial.step()
        await trial.expect("switched", 100)


async def mirrored(trial: Trial) -> None:
    """The new version gets copies of requests that the primary answers."""
    await trial.held()
    before = await trial.copies()
    await trial.expect("on trial", 0)

    async def copied() -> bool:
        return await trial.copies() >= before + REQUESTS

    await eventually(copied, f"{trial.name}: {REQUESTS} copies reach the canary")


async def pinned(trial: Trial) -> None:
    """Who saw the new version once sees it again, until its cookie is taken back."""
    await trial.held()
    count = await trial.expect("at 50 %", 50)
    (cookie,) = {text.partition(";")[0] for text in count.cookies if text.startswith("next=")}
    await trial.expect("users with its cookie", 100, {"Cookie": cookie})
    trial.allowed = 1000
    await trial.stage.phase(trial.name, "Succeeded")
    after = await trial.expect("users with a cookie of the past", 0, {"Cookie": cookie})
    assert f"{cookie}; Max-Age=-1" in after.cookies


COURSES: Mapping[str, Callable[[Trial], Awaitable[None]]] = {
    CANARY: weighted,
    AB: ab_testing,
    BLUE_GREEN: blue_green,
    MIRROR: mirrored,
    AFFINITY: pinned,
}


def _served(exposition: str) -> int:
    """The number of users' requests in podinfo's own metrics."""
    counts: Any = (
        line.rpartition(" ")[2]
        for line in exposition.splitlines()
        if line.startswith("http_request_duration_seconds_count{") and 'path="root"' in line
    )
    return int(sum(map(float, counts)))
