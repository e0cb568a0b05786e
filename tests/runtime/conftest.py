"""Fixtures of this folder."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

import pytest

from tests.fakes.cluster import Lab, a_lab, lab, the_definitions
from tests.runtime.operating import Bench, a_bench

__all__ = ["lab"]


@pytest.fixture
async def bench(lab: Lab) -> AsyncIterator[Bench]:
    """Ticks by hand."""
    async with a_bench(lab) as found:
        yield found


@pytest.fixture
async def loose_lab() -> AsyncIterator[Lab]:
    """A cluster whose Canary CRD lets everything through, as a careless administrator may have it."""
    definitions = copy.deepcopy(the_definitions())
    for definition in definitions:
        if definition["spec"]["names"]["kind"] == "Canary":
            anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = anything
    async with a_lab(definitions) as found:
        yield found
