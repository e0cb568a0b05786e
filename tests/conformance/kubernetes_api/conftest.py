"""The servers that the suite runs against, and what tests of it share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conformance.kubernetes_api.objects import a_group, widget_definition
from tests.conformance.kubernetes_api.servers import Api, Server, client, embedded, real, until
from tests.fakes.envtest import ControlPlane


@pytest.fixture(scope="session", params=["embedded", pytest.param("envtest", marks=pytest.mark.envtest)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each server in turn, without controllers; skipped where a real one cannot run."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with embedded(folder) as running:
            yield running
    else:
        plane: ControlPlane = request.getfixturevalue("control_plane")
        yield real(plane.kubeconfig, plane.version)


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    """An administrator's client in a namespace of its own."""
    async with client(server) as found:
        yield found


@pytest.fixture
async def widgets(api: Api) -> AsyncIterator[str]:
    """The API version of a freshly defined custom resource `widgets`."""
    group = a_group()
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    (await api.post(crds, widget_definition(group))).ok()
    await served(api, f"{group}/v1")
    yield f"{group}/v1"
    await api.delete(f"{crds}/widgets.{group}")


async def served(api: Api, version: str, plural: str = "widgets") -> None:
    """Wait until a custom resource answers, and its discovery too."""

    async def answers() -> bool:
        found = await api.get(api.path(plural, group=version))
        listed = await api.get(f"/apis/{version}")
        return found.status == 200 and listed.status == 200

    await until(answers, f"{version} is served")
