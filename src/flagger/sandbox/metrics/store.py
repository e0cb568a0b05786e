"""All series in memory: created by scrapes, found by matchers, forgotten after the retention time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flagger.sandbox.metrics.labels import METRIC_NAME, Labels, value_of
from flagger.sandbox.metrics.matchers import Matchers, all_match, metric_name_of
from flagger.sandbox.metrics.series import Axis, Series

_CACHED_SELECTIONS = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the store may hold."""

    retention: timedelta = timedelta(hours=1)
    """Older samples are forgotten."""
    series: int = 200_000
    """Scrapes that bring more are refused."""
    runs: int = 4_000_000
    """Stored value changes, 16 bytes each; beyond that the retention shrinks."""


class StoreFullError(Exception):
    """The limit of series is reached."""


class SeriesStore:
    """The series of all targets and an index over them."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._all: dict[Labels, Series] = {}
        self._by_name: dict[str, list[Series]] = defaultdict(list)
        self._axes: dict[Labels, Axis] = {}
        self._selections: dict[Matchers, Sequence[Series]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def axis(self, target: Labels) -> Axis:
        """The axis of sample times of the target with these labels; ask again for every scrape."""
        return self._axes.setdefault(target, Axis())

    def expect(self, count: int) -> None:
        """Check that there is room for `count` more series.

        Raises:
            StoreFullError: there is not.
        """
        if count and len(self._all) + count > self._limits.series:
            raise StoreFullError(f"{count} more series would exceed the limit of {self._limits.series}")

    def series(self, labels: Labels, axis: Axis | None = None) -> Series:
        """The series with these labels, created on `axis`, or on one of its own."""
        known = self._all.get(labels)
        if known is not None:
            return known
        series = Series(labels, axis if axis is not None else Axis(shared=False))
        self._all[labels] = series
        self._by_name[value_of(labels, METRIC_NAME)].append(series)
        self._selections.clear()
        return series

    def append(self, labels: Labels, ms: int, value: float) -> bool:
        """Add one sample that has its own time; False if it is not newer than the last one."""
        series = self.series(labels)
        sequence = series.axis.append(ms)
        if sequence is None:
            return False
        series.record(sequence, value)
        return True

    def select(self, matchers: Matchers) -> Sequence[Series]:
        """The series that pass every matcher, oldest first."""
        found = self._selections.get(matchers)
        if found is None:
            if len(self._selections) >= _CACHED_SELECTIONS:
                self._selections.clear()
            found = self._selections[matchers] = self._search(matchers)
        return found

    def _search(self, matchers: Matchers) -> Sequence[Series]:
        name = metric_name_of(matchers)
        candidates: Iterable[Series] = self._all.values() if name is None else self._by_name.get(name, ())
        return [series for series in candidates if all_match(matchers, dict(series.labels))]

    def sweep(self, now: int) -> None:
        """Forget what is older than the retention time at `now` (ms), and more if memory is short."""
        retention = self._limits.retention // timedelta(milliseconds=1)
        self._forget(now - retention)
        while sum(series.runs for series in self._all.values()) > self._limits.runs and retention:
            retention = retention * 3 // 4
            self._forget(now - retention)

    def _forget(self, floor: int) -> None:
        live = {id(series.axis): series.axis for series in self._all.values()}
        for axis in live.values():
            axis.trim(floor)
        gone = [series for series in self._all.values() if not series.trim()]
        for series in gone:
            del self._all[series.labels]
        self._axes = {target: axis for target, axis in self._axes.items() if id(axis) in live}
        if gone:
            self._reindex()

    def _reindex(self) -> None:
        self._by_name.clear()
        for labels, series in self._all.items():
            self._by_name[value_of(labels, METRIC_NAME)].append(series)
        self._selections.clear()
