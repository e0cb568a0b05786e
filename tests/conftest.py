"""What all tests share."""

import asyncio

from tests.fakes.envtest import control_plane
from tests.fakes.sandbox import operator, sandbox

__all__ = ["control_plane", "operator", "sandbox"]


def pytest_configure() -> None:
    """Say that plain tests have no event loop: looptime's plugin would make one for them and never close it."""
    asyncio.set_event_loop(None)
