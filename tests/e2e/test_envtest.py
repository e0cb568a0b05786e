"""The same operator on a real kube-apiserver with real controllers."""

import asyncio
from collections.abc import Iterator

import pytest

from flagger.sandbox.options import Options
from tests.e2e.manifests import SUCCESS_RATE, a_canary, a_deployment, a_gateway
from tests.e2e.stage import Stage, a_stage
from tests.fakes import envtest
from tests.fakes.sandbox import SandboxProcess, a_sandbox, an_operator

pytestmark = [pytest.mark.envtest, pytest.mark.sandbox]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox with real control-plane binaries, and an operator that doesn't know."""
    envtest.require()
    options = Options(state_dir=tmp_path_factory.mktemp("real"), engine="envtest")
    with a_sandbox(options) as sandbox, an_operator(sandbox):
        yield sandbox


async def test_releases_on_a_real_control_plane(real: SandboxProcess) -> None:
    """A good release is promoted under traffic, a bad one rolled back, nobody else's errors are seen."""
    async with a_stage(real, a_gateway()) as stage:
        await asyncio.gather(
            a_release(stage, "good", "Succeeded", 0, [0, 20, 50, 0]), a_release(stage, "bad", "Failed", 2)
        )


async def a_release(
    stage: Stage, name: str, phase: str, fail_every: int, weights: list[int] | None = None
) -> None:
    """A release that is bad if it fails every so many requests."""
    canary = a_canary(name, metrics=[SUCCESS_RATE])
    await stage.release(name, deployment=a_deployment(name, replicas=2), canary=canary)
    async with stage.users(f"{name}.example") as users:
        await stage.push(name, "1.1.0", fail_every=fail_every)
        await stage.phase(name, phase)
    assert users.total.problems == {}
    assert (users.total.failed_by_order > 0) is (fail_every > 0)
    assert weights is None or stage.weights(name) == weights
    ending = await stage.ending(name)
    assert ending["primary"] == ("1.0.0" if fail_every else "1.1.0")
    assert ending["target replicas"] == 0
