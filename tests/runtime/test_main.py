"""How the parts are put together."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from flagger.api.canary import Canary
from flagger.runtime.main import world_of
from flagger.runtime.settings import Settings
from tests.fakes.cluster import SHOP, Lab, a_canary
from tests.runtime.operating import METRICS, MetricsServer


@pytest.mark.parametrize("in_cluster", [False, True], ids=["outside", "in a pod"])
async def test_names_of_services(lab: Lab, in_cluster: bool) -> None:
    """Outside of the cluster they are looked up in its API; a pod has the cluster's own name service."""
    service = {"metadata": {"name": "prom", "namespace": SHOP}, "apiVersion": "v1", "kind": "Service"}
    await lab.add(service | {"spec": {"type": "ExternalName", "externalName": "localhost"}})
    canary = Canary.parse(a_canary(analysis={"stepWeight": 10, "metrics": METRICS}))
    async with MetricsServer() as metrics, AsyncExitStack() as stack:
        server = f"http://prom.{SHOP}.svc.cluster.local:{metrics.port}"
        settings = Settings(metrics_server=server, in_cluster=in_cluster)
        world = await world_of(stack, lab.cluster, lab.told, settings)

        faults = await world.metrics.check_providers(canary)

    assert bool(faults) is in_cluster
