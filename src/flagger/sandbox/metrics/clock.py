"""The clock that stamps samples; injected, so that tests can turn it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Tells the present time in ms since the epoch."""


def wall_clock() -> int:
    """The system's time."""
    return time.time_ns() // 1_000_000
