"""The samples of one series, run-length encoded over the scrape times that it shares with its target.

Most series do not change between two scrapes. A target keeps one axis of times; a series keeps only the
scrapes at which its value changed. Nothing is lost: a window gives back every single sample.
"""

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan

from flagger.sandbox.metrics.labels import Labels, unnamed

_STALE_BITS = struct.pack("<Q", 0x7FF8_0000_0000_57A1)
STALE: float = struct.unpack("<d", _STALE_BITS)[0]
"""Marks "from here on there are no samples". A quiet NaN of our own, told from other NaNs by its bits."""


def is_stale(value: float) -> bool:
    """Whether `value` is the marker; an ordinary NaN is a sample."""
    return isnan(value) and struct.pack("<d", value) == _STALE_BITS


class Axis:
    """Ascending sample times (ms since the epoch); their sequence numbers survive trimming."""

    __slots__ = ("base", "shared", "times")

    def __init__(self, *, shared: bool = True) -> None:
        self.shared = shared
        """Whether a target scrapes on it, rather than one series that brings its own timestamps."""
        self.times: array[int] = array("q")
        self.base = 0
        """The sequence number of the oldest time that is kept."""

    def append(self, ms: int) -> int | None:
        """Add a time and return its sequence number, or None if it is not newer than the last one."""
        if self.times and ms <= self.times[-1]:
            return None
        self.times.append(ms)
        return self.base + len(self.times) - 1

    def trim(self, floor: int) -> None:
        """Forget times before `floor` (ms)."""
        count = bisect_left(self.times, floor)
        del self.times[:count]
        self.base += count


@dataclass(slots=True, eq=False)  # not frozen: one is made per series and query, and freezing costs
class Window:
    """The samples of a series in a closed time interval; never empty."""

    times: Sequence[int]
    """When each sample was taken, ms."""
    folded: Sequence[float]
    """The values, neighbours that are equal folded into one."""
    _starts: Sequence[int] = ()
    _first: int = 0

    @property
    def values(self) -> Sequence[float]:
        """One value per time."""
        if len(self.folded) == len(self.times):
            return self.folded
        values: list[float] = []
        begin = self._first
        for value, end in zip(self.folded, [*self._starts[1:], self._first + len(self.times)], strict=True):
            values += [value] * (end - begin)
            begin = end
        return values


@dataclass(slots=True, eq=False)
class Series:
    """One series: its labels and the runs of equal values on its axis."""

    labels: Labels
    axis: Axis
    unnamed: Labels = ()
    """The labels without the metric name, which most functions return."""
    _starts: "array[int]" = field(default_factory=lambda: array("q"))
    _values: "array[float]" = field(default_factory=lambda: array("d"))
    _gaps: int = 0

    def __post_init__(self) -> None:
        self.unnamed = unnamed(self.labels)

    @property
    def runs(self) -> int:
        """How many runs are stored: the memory this series takes, in units of 16 bytes."""
        return len(self._values)

    def record(self, sequence: int, value: float) -> None:
        """Let the series have `value` from the sample with this sequence number on."""
        if self._values and self._values[-1] == value:
            return
        self._starts.append(sequence)
        self._values.append(value)

    def close(self, sequence: int) -> None:
        """Let the series have no samples from this sequence number on."""
        if self._values and not is_stale(self._values[-1]):
            self._starts.append(sequence)
            self._values.append(STALE)
            self._gaps += 1

    def trim(self) -> bool:
        """Forget runs older than the axis; returns whether anything is left."""
        gone = max(bisect_right(self._starts, self.axis.base) - 1, 0)
        if gone:
            self._gaps -= sum(map(is_stale, self._values[:gone]))
            del self._starts[:gone], self._values[:gone]
        ended = len(self._values) == 1 and is_stale(self._values[0])
        expired = not self.axis.shared and not self.axis.times
        return not (ended or expired)

    def at(self, ms: int, lookback: int) -> tuple[int, float] | None:
        """The newest sample at or before `ms` and its time, unless it is stale or `lookback` ms older."""
        axis = self.axis
        index = bisect_right(axis.times, ms) - 1
        if index < 0 or axis.times[index] < ms - lookback:
            return None
        run = bisect_right(self._starts, axis.base + index) - 1
        if run < 0:
            return None
        value = self._values[run]
        return None if self._gaps and is_stale(value) else (axis.times[index], value)

    def window(self, start: int, end: int) -> Window | None:
        """The samples from `start` to `end` (ms, both inclusive), or None without any."""
        times, base = self.axis.times, self.axis.base
        first = bisect_left(times, start) + base
        last = bisect_right(times, end) + base
        run = bisect_right(self._starts, first) - 1
        if run < 0 < len(self._starts):  # the series began later than its target
            run, first = 0, self._starts[0]
        if run < 0 or first >= last:
            return None
        stop = bisect_left(self._starts, last)
        window = Window(
            times[first - base : last - base], self._values[run:stop], self._starts[run:stop], first
        )
        return _without_gaps(window) if self._gaps else window


def _without_gaps(window: Window) -> Window | None:
    if not any(map(is_stale, window.folded)):
        return window
    kept = [pair for pair in zip(window.times, window.values, strict=True) if not is_stale(pair[1])]
    return Window([ms for ms, _ in kept], [value for _, value in kept]) if kept else None
