"""Scraping: every target once per interval, each at its own moment within it."""

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import structlog

from flagger.sandbox.metrics.clock import Clock, wall_clock
from flagger.sandbox.metrics.exposition import Dialect, ExpositionError
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.store import SeriesStore, StoreFullError
from flagger.sandbox.metrics.targets import Target

log = structlog.get_logger(__name__)

_MOST_BYTES = 32 * 1024 * 1024
_ACCEPT = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1"
_PUNCTUAL_MS = 10
"""A scrape this little late counts as punctual: even distances make rates more exact."""


class ScrapeError(Exception):
    """A target that gave no metrics; the text says why."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is scraped, and how long an answer may take."""

    interval: timedelta = timedelta(seconds=1)
    timeout: timedelta = timedelta(seconds=3)

    @property
    def interval_ms(self) -> int:
        """The interval in ms, at least one."""
        return max(1, self.interval // timedelta(milliseconds=1))


@dataclass(slots=True)
class State:
    """How the last scrape of a target went."""

    ms: int = 0
    """When it began; 0 before the first one."""
    seconds: float = 0.0
    """How long it took."""
    problem: str | None = None


@dataclass(slots=True)
class Scraper:
    """Scrapes one target until cancelled; its series end with it."""

    target: Target
    store: SeriesStore
    session: aiohttp.ClientSession
    pace: Pace
    clock: Clock = wall_clock
    state: State = field(default_factory=State)

    async def run(self) -> None:
        """Scrape at each tick; ticks that pass during a slow scrape are left out."""
        ingest = Ingest(self.store, self.target.labels)
        tick = 0
        try:
            while True:
                tick = self._next_tick(tick)
                await asyncio.sleep((tick - self.clock()) / 1000)
                await self._scrape(ingest, tick)
        finally:
            ingest.close(self.clock())

    def _next_tick(self, last: int) -> int:
        interval = self.pace.interval_ms
        phase = zlib.crc32(self.target.url.encode()) % interval
        passed = (self.clock() - phase) // interval * interval + phase
        # A timer may fire a little early, when the last tick has not quite passed; a clock that was set back is
        # another matter.
        return (last if 0 < last - passed <= interval else passed) + interval

    async def _scrape(self, ingest: Ingest, tick: int) -> None:
        now = self.clock()
        tolerance = min(_PUNCTUAL_MS, self.pace.interval_ms // 100)
        begun = tick if abs(now - tick) <= tolerance else now
        loop = asyncio.get_running_loop()
        start = loop.time()
        problem = None
        try:
            body, dialect = await self._fetch()
        except ScrapeError as error:
            problem = str(error)
            ingest.fail(begun, loop.time() - start)
        else:
            problem = _accept(ingest, body, dialect, (begun, loop.time() - start))
        self._note(State(begun, loop.time() - start, problem))

    async def _fetch(self) -> tuple[str, Dialect]:
        timeout = aiohttp.ClientTimeout(total=self.pace.timeout.total_seconds())
        try:
            async with self.session.get(self.target.url, timeout=timeout) as response:
                if response.status != 200:
                    raise ScrapeError(f"server returned HTTP status {response.status} {response.reason}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise ScrapeError(f"the body is larger than {_MOST_BYTES} bytes")
                return body.decode(), Dialect.of(response.content_type)
        except TimeoutError as error:
            raise ScrapeError(f"no answer within {timeout.total:g} s") from error
        except (aiohttp.ClientError, UnicodeDecodeError) as error:
            raise ScrapeError(str(error) or type(error).__name__) from error

    def _note(self, state: State) -> None:
        """Remember the outcome, and tell when it changes for better or worse."""
        before, self.state = self.state, state
        if state.problem and not before.problem:
            log.warning("target cannot be scraped", target=self.target.url, problem=state.problem)
        elif before.problem and not state.problem:
            log.info("target is scraped again", target=self.target.url)


def _accept(ingest: Ingest, body: str, dialect: Dialect, when: tuple[int, float]) -> str | None:
    """Store a body; returns what is wrong with it, if anything."""
    try:
        ingest.accept(body, *when, dialect)
    except (ExpositionError, StoreFullError) as error:
        return str(error)
    return None


def new_session() -> aiohttp.ClientSession:
    """A session for scraping: connections stay open between scrapes, and there are as many as targets."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": _ACCEPT, "Accept-Encoding": "identity", "User-Agent": "flagger-sandbox"},
    )
