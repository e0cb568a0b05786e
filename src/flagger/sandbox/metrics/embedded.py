"""The embedded engine: scrapes its targets, keeps their samples in memory and answers queries about them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from flagger.sandbox.metrics.api import Api
from flagger.sandbox.metrics.clock import Clock, wall_clock
from flagger.sandbox.metrics.labels import value_of
from flagger.sandbox.metrics.listening import serving
from flagger.sandbox.metrics.scrape import Pace, Scraper, new_session
from flagger.sandbox.metrics.store import Limits, SeriesStore
from flagger.sandbox.metrics.targets import Target

_SWEEPS_PER_RETENTION = 60


class EmbeddedEngine:
    """A small Prometheus in this process."""

    def __init__(self, limits: Limits, pace: Pace, *, port: int = 0, clock: Clock = wall_clock) -> None:
        """`port` 0 takes a free one."""
        self.store = SeriesStore(limits)
        self._limits = limits
        self._pace = pace
        self._port = port
        self._clock = clock
        self._targets: frozenset[Target] = frozenset()
        self._changed = asyncio.Event()
        self._scrapers: dict[Target, Scraper] = {}

    def aim(self, targets: frozenset[Target]) -> None:
        """Scrape these targets from now on, and no others."""
        self._targets = targets
        self._changed.set()

    async def run(self, on_listening: Callable[[int], None]) -> None:
        """Scrape and answer until cancelled; `on_listening` gets the port of the HTTP API."""
        app = Api(self.store, self._clock, self._target_states).application()
        async with serving(app, self._port) as port, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            on_listening(port)
            await self._follow()

    async def _follow(self) -> None:
        """Keep one scraper per target running."""
        running: dict[Target, asyncio.Task[None]] = {}
        async with new_session() as session, asyncio.TaskGroup() as tasks:
            while True:
                for target in running.keys() - self._targets:
                    running.pop(target).cancel()
                    del self._scrapers[target]
                for target in self._targets - running.keys():
                    scraper = Scraper(target, self.store, session, self._pace, self._clock)
                    self._scrapers[target] = scraper
                    running[target] = tasks.create_task(scraper.run())
                self._changed.clear()
                await self._changed.wait()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.retention.total_seconds() / _SWEEPS_PER_RETENTION)
            self.store.sweep(self._clock())

    def _target_states(self) -> Sequence[dict[str, Any]]:
        """As /api/v1/targets shows them."""
        return [_described(scraper) for scraper in self._scrapers.values()]


def _described(scraper: Scraper) -> dict[str, Any]:
    target, state = scraper.target, scraper.state
    return {
        "discoveredLabels": dict(target.labels),
        "labels": dict(target.labels),
        "scrapePool": value_of(target.labels, "job"),
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": state.problem or "",
        "lastScrape": datetime.fromtimestamp(state.ms / 1000, UTC).isoformat(),
        "lastScrapeDuration": state.seconds,
        "health": "down" if state.problem else "up" if state.ms else "unknown",
        "scrapeInterval": f"{scraper.pace.interval.total_seconds():g}s",
        "scrapeTimeout": f"{scraper.pace.timeout.total_seconds():g}s",
    }
