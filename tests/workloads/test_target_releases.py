"""Whole releases of other targets and with other scalers, by a running operator."""

from __future__ import annotations

from flagger.kube.objects import DEPLOYMENT, SERVICE, annotations_of
from tests.fakes.cluster import ROUTE, Lab, a_canary, a_target, deployments_rolling
from tests.runtime.operating import an_operator, phase_is
from tests.workloads.test_config_release import released
from tests.workloads.test_scaled_object import PAUSED, SCALED_OBJECT, installed
from tests.workloads.test_service import a_service, release_of

FAST = {"interval": "50ms", "stepWeight": 50, "maxWeight": 50}


async def test_a_service(lab: Lab) -> None:
    """A change of what it selects is a release: the canary's copy first, the primary's when it is promoted."""
    reference = {"apiVersion": "v1", "kind": "Service", "name": "checkout"}
    await lab.add(a_service(), a_target("other"), a_canary("other", analysis=FAST))
    async with deployments_rolling(lab.client), an_operator(lab):
        await phase_is(lab, "Initialized", name="other")
        await lab.add(a_canary(targetRef=reference, analysis={**FAST, "interval": "1s"}))
        await phase_is(lab, "Initialized")

        await lab.client.patch(SERVICE, "checkout", "shop", {"spec": {"selector": {"release": "v42"}}})
        await phase_is(lab, "Progressing", within=1)
        assert await release_of(lab, "checkout-canary") == "v42"
        assert await release_of(lab, "checkout-primary") == "v41"
        await released(lab, 1)

        assert await release_of(lab, "checkout-primary") == "v42"
        assert (await lab.get(ROUTE))["spec"]["rules"]


async def test_a_scaled_object(lab: Lab) -> None:
    """The target's scaler rests while the target does, and the primary gets one of its own."""
    await installed(lab)
    reference = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "checkout"}
    await lab.add(a_target(), a_canary(autoscalerRef=reference, analysis={**FAST, "interval": "300ms"}))

    async def paused() -> str | None:
        return annotations_of(await lab.get(SCALED_OBJECT)).get(PAUSED)

    async with deployments_rolling(lab.client), an_operator(lab):
        await phase_is(lab, "Initialized")
        assert await paused() == "0"
        assert (await lab.get(SCALED_OBJECT, "checkout-primary"))["spec"]["maxReplicaCount"] == 4

        await lab.client.patch(SCALED_OBJECT, "checkout", "shop", {"spec": {"maxReplicaCount": 7}})
        containers = [{"name": "web", "image": "podinfo:2"}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        await lab.client.patch(DEPLOYMENT, "checkout", "shop", body)
        await phase_is(lab, "Progressing")
        assert await paused() is None
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2
        await released(lab, 1)

        assert await paused() == "0"
        copied = await lab.get(SCALED_OBJECT, "checkout-primary")
        assert copied["spec"]["maxReplicaCount"] == 7
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 0
