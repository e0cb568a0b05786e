"""A manifest as upstream's users have it, with HPA, metric templates and a load tester, runs as it is."""

import socket
from pathlib import Path

import pytest
import yaml

from flagger.kube.objects import DEPLOYMENT, HPA
from tests.e2e.gatekeeper import YES, a_gatekeeper
from tests.e2e.stage import a_stage, image_of
from tests.fakes.sandbox import METRICS, OperatorProcess, SandboxProcess
from tests.fakes.scripted import Reply

pytestmark = pytest.mark.sandbox

MANIFESTS = Path(__file__).with_name("tutorial.yaml")
SMOKE = Reply(200, b"ok", wait=7.0 if METRICS == "prometheus" else 2.0)
"""A smoke test takes a while, in which a real Prometheus finds the pods."""


def may_bind_low_ports() -> bool:
    """The load tester's address has no port: it is at port 80."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.96.255.250", 80))
        except PermissionError:
            return False
        except OSError:
            return True
    return True


@pytest.mark.skipif(not may_bind_low_ports(), reason="needs to listen on port 80: run as root")
async def test_runs_a_manifest_of_the_tutorial(sandbox: SandboxProcess, operator: OperatorProcess) -> None:
    """Deployment, HPA, Gateway, metric templates and hooks: released from the first version to the second."""
    objects = list(yaml.safe_load_all(MANIFESTS.read_text()))
    async with a_stage(sandbox, name="ingress"), a_stage(sandbox, name="test") as stage:
        async with a_gatekeeper(stage, name="flagger-loadtester", port=80) as tester:
            tester.rules["/"] = lambda: SMOKE if "type" in tester.bodies["/"][-1]["metadata"] else YES
            await stage.apply(*objects)
            await stage.phase("podinfo", "Initialized")
            async with stage.users("www.example.com", gateway="ingress/gateway") as users:
                await stage.push("podinfo", "6.0.1")
                await stage.phase("podinfo", "Succeeded", within=40)

        assert stage.weights("podinfo") == [0, 10, 20, 30, 40, 50, 0]
        # Nobody scales to the HPA's minimum here: the one primary pod is missed while it is replaced.
        assert (users.total.failed_by_order, users.total.canary > 0) == (0, True)
        # In its first second there may be no data yet.
        assert all("no values found" in text for text in stage.halts("podinfo"))
        primary = await stage.client.get(DEPLOYMENT, "podinfo-primary", "test")
        assert image_of(primary) == "6.0.1"
        scaler = await stage.client.get(HPA, "podinfo-primary", "test")
        assert scaler["spec"]["scaleTargetRef"]["name"] == "podinfo-primary"
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 4)
        called = {body["metadata"]["cmd"].split()[0] for body in tester.bodies["/"]}
        assert called == {"curl", "hey"}
        assert tester.calls["/gate/approve"] == 1
