"""The clusters that the tests run against."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from flagger.kube.connection import Connection
from tests.fakes.envtest import start_control_plane
from tests.sandbox.controllers.world import PLAYED, World, a_world, embedded_cluster, in_background, inhabited

REAL = pytest.mark.envtest
CLUSTERS = [
    pytest.param("embedded", id="embedded"),
    pytest.param("envtest", id="envtest", marks=REAL),  # our controllers on a real API server
    pytest.param(
        "reference", id="reference", marks=REAL
    ),  # the real controllers, which the tests must suit as well
]


@pytest.fixture(scope="session", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Each cluster in turn, with controllers and pods that are played."""
    folder = tmp_path_factory.mktemp(f"controllers-{request.param}")
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            yield stack.enter_context(in_background(lambda: embedded_cluster(folder)))
            return
        ours = request.param == "envtest"
        plane = stack.enter_context(start_control_plane(folder, controllers=not ours))
        only = PLAYED if ours else []
        yield stack.enter_context(in_background(lambda: inhabited(plane.connection, only=only)))


@pytest.fixture
async def world(cluster: Connection) -> AsyncIterator[World]:
    """A namespace of its own."""
    async with a_world(cluster) as world:
        yield world
