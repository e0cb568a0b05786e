"""People act on releases by what plain kubectl sends: objects created, annotations set and taken away."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from flagger.api.names import HOLD
from flagger.demo.scene import CANARY
from flagger.kube.objects import Object
from flagger.runtime.kinds import RELEASE, RELEASE_ACTION
from flagger.sandbox.options import Options
from tests.e2e.manifests import a_canary, a_gateway, a_hook
from tests.e2e.stage import HTTP_ROUTE, Stage, a_stage, eventually, split_of
from tests.fakes.sandbox import SandboxProcess, a_sandbox, an_operator

pytestmark = pytest.mark.sandbox

NUMBERS = count(1)
STEPS = {"stepWeights": [10, 20, 30, 40, 50, 60]}


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox whose operator takes acts from everybody: its only user is the administrator."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(a_sandbox(Options(state_dir=tmp_path_factory.mktemp("acts"))))
        stack.enter_context(an_operator(sandbox, "-unverified-actions=all"))
        yield sandbox


@pytest.fixture
async def stage(acting: SandboxProcess) -> AsyncIterator[Stage]:
    """A namespace with a Gateway."""
    async with a_stage(acting, a_gateway()) as stage:
        yield stage


async def act(stage: Stage, action: str, **spec: Any) -> Object:
    """`kubectl create -f`: ask for something; returns what became of it."""
    name = f"app-{action}-{next(NUMBERS)}"
    given = {
        "canary": "app",
        "action": action,
        "requestedBy": {"username": "ana"},
        "reason": "CHG-1234",
        **spec,
    }
    metadata = {"name": name, "namespace": stage.namespace}
    await stage.client.create(RELEASE_ACTION, {"metadata": metadata, "spec": given})

    async def decided() -> Object:
        found = await stage.client.get(RELEASE_ACTION, name, stage.namespace)
        status: Object = found.get("status", {})
        return status if status.get("state", "Pending") != "Pending" else {}

    found: Object = await eventually(decided, f"{action} is decided")
    return found


async def weight(stage: Stage) -> int:
    """What the route gives the canary."""
    route = await stage.client.get(HTTP_ROUTE, "app", stage.namespace)
    return dict(split_of(route)).get("app-canary", 0)


async def annotate(stage: Stage, value: str | None) -> None:
    """`kubectl annotate canary app release.flagger.app/hold=…`, or `…/hold-`."""
    await stage.client.patch(CANARY, "app", stage.namespace, {"metadata": {"annotations": {HOLD: value}}})


async def halted(stage: Stage, what: str, times: int = 1) -> None:
    """Wait until the release says that it waits."""
    text = f"waiting for {what}"
    await stage.until(
        lambda: len([line for line in stage.told["app"] if text in line]) >= times, f"app is {text}"
    )


async def test_a_release_under_control(stage: Stage) -> None:
    """Paused in mid-run, stepped, aborted, retried, approved by a gate without a service, and promoted."""
    gate = a_hook("board", "confirm-promotion", "gate://promotion")
    await stage.release("app", canary=a_canary("app", **STEPS, webhooks=[gate]))
    await stage.push("app", "1.1.0")
    await stage.until(lambda: stage.status("app")[1] >= 10, "app has some traffic")

    assert (await act(stage, "pause"))["state"] == "Applied"
    await halted(stage, "traffic increase approval pause")
    before = await weight(stage)
    pin = {"run": 1}
    stepped = await act(stage, "promote", scope="step", pin=pin)
    assert (stepped["code"], stepped["after"]["weight"]) == ("Applied.Stepped", before + 10)
    assert await weight(stage) == before + 10
    aborted = await act(stage, "abort", pin=pin)
    assert aborted["after"] == {"phase": "Failed", "weight": 0}
    assert await weight(stage) == 0
    assert f"Rolling back app.{stage.namespace} aborted by ana: CHG-1234" in stage.told["app"]

    assert (await act(stage, "resume"))["code"] == "Applied.Resumed"
    assert (await act(stage, "retry", pin=pin))["code"] == "Applied.Retried"
    await stage.phase("app", "WaitingPromotion")
    assert (await act(stage, "approve", gate="promotion", pin=pin))["code"] == "Superseded.Moved"
    assert (await act(stage, "approve", gate="promotion", pin={"run": 2}))["code"] == "Applied.GateOpened"
    await stage.phase("app", "Succeeded")
    assert (await stage.ending("app"))["primary"] == "1.1.0"

    found = (await stage.client.get(RELEASE, "app", stage.namespace))["status"]
    assert [(run["number"], run["result"]) for run in found["runs"]] == [(2, "promoted"), (1, "aborted")]
    actions = [(one["action"], one["by"], one["reason"]) for one in found["runs"][1]["actions"]]
    assert [action for action, *_ in actions][:3] == ["pause", "promote", "abort"]
    assert {(by, reason) for _, by, reason in actions} == {("ana", "CHG-1234")}


async def test_a_hold_by_annotation(stage: Stage) -> None:
    """It pauses the next revision before it starts; taking it away lets it run, and a promote ends it at once."""
    await stage.release("app", canary=a_canary("app", **STEPS))
    await annotate(stage, "freeze until Monday")
    await stage.push("app", "1.1.0")
    await stage.phase("app", "Waiting")
    assert (await act(stage, "resume"))["code"] == "Refused.Held"
    await annotate(stage, None)
    await stage.until(lambda: stage.status("app")[1] >= 10, "app has some traffic")
    forced = await act(stage, "promote", pin={"run": 1}, reason="hotfix")
    assert forced["after"]["phase"] == "Promoting"
    await stage.phase("app", "Succeeded")
    assert f"Promotion of app.{stage.namespace} forced by ana: hotfix" in stage.told["app"]
