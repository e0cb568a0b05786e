"""Fixtures of this folder."""

from collections.abc import AsyncIterator

import pytest

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.metrics.base import Tools
from flagger.outbound import Outbound

NOW = 1_760_000_000.0
"""The clock of every provider in tests: 2025-10-09T08:53:20Z."""


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    """What providers work with; there is no API server."""
    async with Outbound() as outbound, Client(Connection("http://127.0.0.1:1")) as client:
        yield Tools(outbound, client, clock=lambda: NOW)
