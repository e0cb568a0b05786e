"""The API server goes away and comes back: objects are kept, and a run goes on where it was."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flagger.kube.errors import Unreachable
from flagger.sandbox.options import Options
from tests.e2e.gatekeeper import a_gatekeeper
from tests.e2e.manifests import DURATION, SUCCESS_RATE, a_canary, a_deployment, a_gateway, a_hook
from tests.e2e.stage import Stage, a_stage, eventually
from tests.fakes.sandbox import SandboxProcess, a_sandbox, an_operator

pytestmark = pytest.mark.sandbox


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox that keeps its objects, with the embedded metrics store and an operator of its own."""
    with ExitStack() as stack:
        options = Options(state_dir=tmp_path / "state", data_dir=tmp_path / "data")
        sandbox = stack.enter_context(a_sandbox(options))
        stack.enter_context(an_operator(sandbox))
        yield sandbox


async def test_a_run_goes_on_after_a_restart_of_the_cluster(kept: SandboxProcess) -> None:
    """Clients keep address and credentials, the operator its place, and the run ends as it would have."""
    async with a_stage(kept, a_gateway()) as stage, a_gatekeeper(stage) as keeper:
        keeper.close("/promotion")
        hooks = [a_hook("promotion", "confirm-promotion", f"{keeper.url}/promotion")]
        await asyncio.gather(
            stage.release("app", canary=a_canary("app", webhooks=hooks)),
            the_embedded_metrics_store_judges_as_prometheus_does(stage),
        )
        await stage.push("app", "1.1.0")
        await stage.phase("app", "WaitingPromotion")

        await asyncio.to_thread(kept.stop)
        with pytest.raises(Unreachable):
            await stage.canary("app")
        await asyncio.to_thread(kept.start)
        assert (await stage.canary("app"))["status"]["phase"] == "WaitingPromotion"

        keeper.open("/promotion")
        await stage.phase("app", "Succeeded")
        assert stage.weights("app") == [0, 20, 50, 0]
        async with stage.users("app.example") as users:
            await eventually(lambda: users.total.answered > 20, "users are served again")
        assert users.total.failed == 0
        assert (await stage.ending("app"))["primary"] == "1.1.0"


async def the_embedded_metrics_store_judges_as_prometheus_does(stage: Stage) -> None:
    """The good release is promoted and the bad one rolled back, each for the same reason as with a real one."""

    async def ends(name: str, phase: str, fail_every: int) -> None:
        canary = a_canary(name, metrics=[SUCCESS_RATE, DURATION])
        await stage.release(name, deployment=a_deployment(name, replicas=2), canary=canary)
        async with stage.users(f"{name}.example"):
            await stage.push(name, "1.1.0", fail_every=fail_every)
            await stage.phase(name, phase)

    await asyncio.gather(ends("good", "Succeeded", 0), ends("bad", "Failed", 2))
    assert stage.weights("good") == [0, 20, 50, 0]
    assert "success rate" in stage.halts("bad")[-1]
