"""Users: requests at a constant rate, whether or not the answers keep up, and what became of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import msgspec

TIMEOUT = 5.0  # seconds a user waits for an answer
INJECTED = "injected fault"
"""What the sample app says when it fails because it was told to; no other part of the way says this."""


class Answer(msgspec.Struct, frozen=True):
    """What the sample app says of itself; all empty when somebody else answered."""

    hostname: str = ""
    message: str = ""


@dataclass(slots=True)
class Tally:
    """What became of requests.

    `primary` and `canary` count the answers by who gave them, `failed_by_order` are failures that a release
    was told to make, `problems` counts all others by their cause: lost connections, time-outs, errors of the
    proxy. `first_failure` is loop time in seconds.
    """

    sent: int = 0
    answered: int = 0
    primary: int = 0
    canary: int = 0
    failed_by_order: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    first_failure: float | None = None

    @property
    def failed(self) -> int:
        """All requests that users saw fail."""
        return self.failed_by_order + self.failed_otherwise

    @property
    def failed_otherwise(self) -> int:
        """Those that no release was told to make."""
        return sum(self.problems.values())

    def count(self, status: int, answer: Answer) -> None:
        """Count an answer."""
        self.answered += 1
        if answer.hostname:
            side = "primary" if "-primary-" in answer.hostname else "canary"
            setattr(self, side, getattr(self, side) + 1)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        if answer.message == INJECTED and "-primary-" not in answer.hostname:
            self.failed_by_order += 1
        else:
            self.problem(f"HTTP {status} from {answer.hostname or 'the proxy'}")
        self._failed_now()

    def problem(self, what: str) -> None:
        """Count a failure that no release was told to make."""
        self.problems[what] = self.problems.get(what, 0) + 1
        self._failed_now()

    def _failed_now(self) -> None:
        if self.first_failure is None:
            self.first_failure = asyncio.get_running_loop().time()


class Users:
    """Sends `rate` requests a second to `url` under the name `host` until stopped.

    `total` counts from the beginning, `act` since `new_act`, `step` since `new_step`.
    """

    def __init__(self, url: str, host: str, rate: float = 60.0) -> None:
        self.rate = rate
        self.total, self.act, self.step = Tally(), Tally(), Tally()
        self.url = url
        self._host = host
        self._waiting: set[asyncio.Task[None]] = set()

    def new_act(self) -> None:
        """Count anew; the total goes on."""
        self.act, self.step = Tally(), Tally()

    def new_step(self) -> None:
        """Traffic was divided anew: count by side anew."""
        self.step = Tally()

    async def run(self) -> None:
        """Send until cancelled."""
        limits = aiohttp.ClientTimeout(total=TIMEOUT)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=limits, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            loop = asyncio.get_running_loop()
            due = loop.time()
            while True:
                request = group.create_task(self._request(session))
                self._waiting.add(request)
                request.add_done_callback(self._waiting.discard)
                due += 1 / self.rate
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def settled(self) -> None:
        """Wait until everything that was sent before this moment has been answered or given up."""
        if self._waiting:
            await asyncio.wait(set(self._waiting))

    async def _request(self, session: aiohttp.ClientSession) -> None:
        tallies = (self.total, self.act, self.step)  # those of the time at which it was sent
        for tally in tallies:
            tally.sent += 1
        try:
            async with session.get(self.url, headers={"Host": self._host}) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            for tally in tallies:
                tally.problem(type(error).__name__)
            return
        answer = _read(body)
        for tally in tallies:
            tally.count(status, answer)


def _read(body: bytes) -> Answer:
    try:
        return msgspec.json.decode(body, type=Answer)
    except msgspec.DecodeError:
        return Answer()
