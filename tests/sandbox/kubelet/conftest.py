"""The nodes that the tests run on."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.errors import NotFound
from flagger.kube.objects import NAMESPACE
from flagger.sandbox.kubelet.launch import Isolation
from tests.fakes.envtest import start_control_plane
from tests.sandbox.controllers.world import embedded, in_background
from tests.sandbox.kubelet.world import Pods, a_kubelet, isolation

_numbers = itertools.count(1)
SERVERS = ["embedded", pytest.param("envtest", marks=pytest.mark.envtest)]


@contextlib.asynccontextmanager
async def node_on_embedded(folder: Path) -> AsyncIterator[Connection]:
    """The embedded server with a kubelet."""
    async with embedded(folder) as connection, a_kubelet(connection, folder / "state"):
        yield connection


@contextlib.asynccontextmanager
async def node_on(connection: Connection, folder: Path) -> AsyncIterator[Connection]:
    """Another server with a kubelet."""
    async with a_kubelet(connection, folder / "state"):
        yield connection


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A node of an embedded server, for the whole run."""
    folder = tmp_path_factory.mktemp("node")
    with in_background(lambda: node_on_embedded(folder)) as connection:
        yield connection


@pytest.fixture(scope="session", params=SERVERS)
def any_node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A node of each server in turn."""
    if request.param == "embedded":
        yield request.getfixturevalue("node")
        return
    folder = tmp_path_factory.mktemp("node-envtest")
    with (
        start_control_plane(folder) as plane,
        in_background(lambda: node_on(plane.connection, folder)) as connection,
    ):
        yield connection


@contextlib.asynccontextmanager
async def a_namespace(connection: Connection) -> AsyncIterator[Pods]:
    """A namespace whose pods are gone afterwards."""
    async with Client(connection) as client:
        name = f"pods-{os.getpid()}-{next(_numbers)}"
        await client.create(NAMESPACE, {"metadata": {"name": name}})
        pods = Pods(client, name)
        yield pods
        for pod in await pods.pods():
            with contextlib.suppress(NotFound):
                await pods.delete(pod["metadata"]["name"])


@pytest.fixture
def mounts() -> None:
    """Skip where containers cannot have mounts of their own."""
    if isolation() == Isolation.NONE:
        pytest.skip("needs root, or unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)")


@pytest.fixture
async def pods(node: Connection) -> AsyncIterator[Pods]:
    """A namespace on the embedded server."""
    async with a_namespace(node) as pods:
        yield pods


@pytest.fixture
async def any_pods(any_node: Connection) -> AsyncIterator[Pods]:
    """A namespace on each server in turn."""
    async with a_namespace(any_node) as pods:
        yield pods
