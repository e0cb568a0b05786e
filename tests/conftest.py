"""What all tests share."""

import asyncio


def pytest_configure() -> None:
    """Say that plain tests have no event loop: looptime's plugin would make one for them and never close it."""
    asyncio.set_event_loop(None)
