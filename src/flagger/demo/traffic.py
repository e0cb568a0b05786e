"""Users: requests at a constant rate, whether or not the answers keep up, and what became of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp

TIMEOUT = 5.0  # seconds a user waits for an answer
INJECTED = b"injected fault"
"""What the sample app says when it fails because it was told to; no other part of the way says this."""


@dataclass(slots=True)
class Tally:
    """What became of the requests since the last reset.

    `failed_by_canary` are errors that the bad release made; `failed_otherwise` are all others: lost
    connections, time-outs, errors of the proxy. `first_failure` is loop time in seconds.
    """

    sent: int = 0
    answered: int = 0
    failed_by_canary: int = 0
    failed_otherwise: int = 0
    first_failure: float | None = None
    problems: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """All requests that users saw fail."""
        return self.failed_by_canary + self.failed_otherwise

    def problem(self, what: str) -> None:
        """Count a failure that no release explains."""
        self.failed_otherwise += 1
        self.problems[what] = self.problems.get(what, 0) + 1


class Users:
    """Sends `rate` requests a second to `url` under the name `host` until stopped."""

    def __init__(self, url: str, host: str, rate: float = 60.0) -> None:
        self.rate = rate
        self.total = Tally()
        self.act = Tally()
        self._url, self._host = url, host

    def new_act(self) -> None:
        """Count anew; the total goes on."""
        self.act = Tally()

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
                group.create_task(self._request(session))
                due += 1 / self.rate
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _request(self, session: aiohttp.ClientSession) -> None:
        tallies = (self.total, self.act)
        for tally in tallies:
            tally.sent += 1
        try:
            async with session.get(self._url, headers={"Host": self._host}) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            for tally in tallies:
                tally.problem(type(error).__name__)
            return
        self._count(tallies, response.status, body)

    def _count(self, tallies: tuple[Tally, Tally], status: int, body: bytes) -> None:
        for tally in tallies:
            tally.answered += 1
            if status < 500:
                continue
            if INJECTED in body:
                tally.failed_by_canary += 1
            else:
                tally.problem(f"HTTP {status}")
            if tally.first_failure is None:
                tally.first_failure = asyncio.get_running_loop().time()
