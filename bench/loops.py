"""The event loop that the operator has: uvloop where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
FAST = importlib.util.find_spec("uvloop") is not None
NAME = "uvloop" if FAST else "asyncio's own loop"


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    if not FAST:
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
