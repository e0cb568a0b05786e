"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.cluster import Lab, lab
from tests.runtime.operating import Bench, a_bench

__all__ = ["lab"]


@pytest.fixture
async def bench(lab: Lab) -> AsyncIterator[Bench]:
    """Ticks by hand."""
    async with a_bench(lab) as found:
        yield found
