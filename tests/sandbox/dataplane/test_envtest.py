"""The data plane on a real kube-apiserver."""

from pathlib import Path

import pytest

from flagger.kube.objects import NODE
from flagger.sandbox.dataplane.kinds import NODE_NAME, PROXY_ANNOTATION
from tests.fakes.envtest import ControlPlane
from tests.sandbox.dataplane.objects import a_gateway, a_route, a_rule, split
from tests.sandbox.dataplane.world import a_world_at, an_octet, parents, reasons

pytestmark = [pytest.mark.envtest, pytest.mark.sandbox]


async def test_serves_gateways_of_a_real_api_server(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Routes take effect and are told so, whatever the Services' own addresses are."""
    with an_octet() as octet:
        async with a_world_at(control_plane.connection, tmp_path, octet) as world:
            await world.release()
            address = await world.gateway(a_gateway())
            route = await world.route(a_route("checkout", a_rule(*split(0, 100))))

            assert await world.count(f"http://{address}/", 20) == {"canary-1": 20}
            assert reasons(parents(route)[0]) == {"Accepted": "Accepted", "ResolvedRefs": "ResolvedRefs"}
            node = await world.client.get(NODE, NODE_NAME)
            assert node["metadata"]["annotations"][PROXY_ANNOTATION] == world.plane.proxy
