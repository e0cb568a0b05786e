"""What end-to-end tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.manifests import a_gateway
from tests.e2e.stage import Stage, a_stage
from tests.fakes.sandbox import OperatorProcess, SandboxProcess


@pytest.fixture
async def stage(sandbox: SandboxProcess, operator: OperatorProcess) -> AsyncIterator[Stage]:
    """A namespace with a Gateway on the shared sandbox, looked after by the shared operator."""
    async with a_stage(sandbox, a_gateway()) as stage:
        yield stage
