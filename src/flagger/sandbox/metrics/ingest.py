"""From one target's expositions to samples in the store, touching only the lines that changed.

Between two scrapes most lines stay the same, and so does what the store has to know: the series go on with
their value. Sets of lines are compared instead of parsing each of them again.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from flagger.sandbox.metrics.exposition import Dialect, ExpositionError, Sample, check_end, parse_line
from flagger.sandbox.metrics.labels import METRIC_NAME, Labels, labels_of
from flagger.sandbox.metrics.numbers import parse_float
from flagger.sandbox.metrics.series import Series
from flagger.sandbox.metrics.store import SeriesStore, StoreFullError


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one changed line says."""

    line: str
    prefix: str
    """The line up to its value; the next scrape is recognised by it. "" when the line is not so simple."""
    value: float
    labels: Labels = ()
    series: Series | None = None
    ms: int | None = None


class Ingest:
    """One target's series: fed by its expositions, ended when it disappears.

    All calls must come with ascending times; a time that is not newer is moved on by a millisecond.
    """

    def __init__(self, store: SeriesStore, target: Labels) -> None:
        self._store = store
        self._target = target
        self._taken = dict(target)
        self._lines: set[str] = set()
        self._series: dict[str, Series] = {}  # by the line's prefix, or by the whole of an unusual line
        self._samples = 0
        self._scraped = False

    def accept(self, body: str, ms: int, took: float, dialect: Dialect = Dialect.TEXT) -> None:
        """Store a scrape that began at `ms` and took `took` seconds; all of it, or nothing if it is bad.

        Raises:
            ExpositionError: the body does not follow its format; the target counts as down.
            StoreFullError: there would be too many series; the target counts as down.
        """
        lines = body.split("\n")
        present = set(lines)
        try:
            check_end(body, dialect)
            readings = self._readings(lines, present - self._lines, dialect)
        except (ExpositionError, StoreFullError):
            self.fail(ms, took)
            raise
        sequence, before = self._next(ms), len(self._store)
        fed = self._commit(readings, sequence, ms)
        vanished = [line for line in self._lines - present if _is_sample(line)]
        self._end(vanished, fed, sequence)
        self._samples += len(readings) - len(vanished)
        self._lines = present
        self._report(sequence, {"up": 1.0, "scrape_duration_seconds": took}, len(self._store) - before)

    def fail(self, ms: int, took: float) -> None:
        """Note that a scrape at `ms` gave nothing: the target is down, its series are stale."""
        sequence = self._end_all(ms)
        self._report(sequence, {"up": 0.0, "scrape_duration_seconds": took}, 0)

    def close(self, ms: int) -> None:
        """End every series: the target is gone."""
        if not self._scraped:
            return
        sequence = self._end_all(ms)
        for name in _REPORTS:
            self._report_series(name).close(sequence)

    def _readings(self, lines: Sequence[str], fresh: Set[str], dialect: Dialect) -> list[_Reading]:
        readings = [reading for line in lines if line in fresh and (reading := self._read(line, dialect))]
        self._store.expect(sum(reading.series is None for reading in readings))
        return readings

    def _read(self, line: str, dialect: Dialect) -> _Reading | None:
        prefix, _, text = line.rpartition(" ")
        series = self._series.get(prefix)
        if series is not None and (value := parse_float(text)) is not None:
            return _Reading(line, prefix, value, series=series)
        sample = parse_line(line, dialect)
        if sample is None:
            return None
        simple = sample.ms is None and parse_float(text) is not None and "#" not in prefix
        return _Reading(line, prefix if simple else "", sample.value, self._labels(sample), ms=sample.ms)

    def _labels(self, sample: Sample) -> Labels:
        """The target's labels win; what the sample says instead is kept as `exported_…`."""
        labels = dict(self._taken)
        for name, value in sample.labels.items():
            labels[f"exported_{name}" if name in self._taken else name] = value
        return labels_of(labels)

    def _commit(self, readings: Sequence[_Reading], sequence: int, ms: int) -> set[int]:
        """Record the readings; returns the ids of the series that have got a sample."""
        axis = self._store.axis(self._target)
        fed: set[int] = set()
        for reading in readings:
            if reading.ms is not None:  # never stale by disappearing, as in Prometheus
                self._store.append(reading.labels, reading.ms, reading.value)
                continue
            series = reading.series or self._store.series(reading.labels, axis)
            self._series[reading.prefix or reading.line] = series
            if id(series) in fed:
                continue  # exposed twice: the first line counts
            fed.add(id(series))
            if series.axis is axis:
                series.record(sequence, reading.value)
            else:  # it came with timestamps of its own before
                self._store.append(series.labels, ms, reading.value)
        return fed

    def _end(self, vanished: Iterable[str], fed: set[int], sequence: int) -> None:
        """Close the series whose lines vanished, unless another line has fed them."""
        for line in vanished:
            prefix = line.rpartition(" ")[0]
            key = prefix if prefix in self._series else line
            if key in self._series and id(self._series[key]) not in fed:
                self._series.pop(key).close(sequence)
            else:
                self._series.pop(line, None)

    def _end_all(self, ms: int) -> int:
        sequence = self._next(ms)
        for series in self._series.values():
            series.close(sequence)
        self._series.clear()
        self._lines = set()
        self._samples = 0
        return sequence

    def _next(self, ms: int) -> int:
        axis = self._store.axis(self._target)
        sequence = axis.append(ms)
        if sequence is None:
            sequence = axis.append(axis.times[-1] + 1)
        assert sequence is not None
        return sequence

    def _report(self, sequence: int, values: dict[str, float], added: int) -> None:
        self._scraped = True
        counts = {
            "scrape_samples_scraped": float(self._samples),
            "scrape_samples_post_metric_relabeling": float(self._samples),
            "scrape_series_added": float(added),
        }
        for name, value in {**values, **counts}.items():
            self._report_series(name).record(sequence, value)

    def _report_series(self, name: str) -> Series:
        labels = labels_of({**self._taken, METRIC_NAME: name})
        return self._store.series(labels, self._store.axis(self._target))


_REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


def _is_sample(line: str) -> bool:
    return bool(line) and not line.startswith("#")
