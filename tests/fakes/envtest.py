"""A real control plane for tests: the sandbox's engine `envtest`, skipped where the binaries are missing.

Use the fixture `control_plane` (no controllers), or `start_control_plane` for one of your own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flagger.kube.connection import Connection
from flagger.kube.kubeconfig import load_connection
from flagger.sandbox import control_plane as product
from flagger.sandbox.control_plane import ControlPlaneError, find_binaries


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane; `kubeconfig` logs in as an administrator, `version` is (major, minor)."""

    kubeconfig: Path
    version: tuple[int, int]

    @property
    def connection(self) -> Connection:
        """How a client reaches it."""
        return load_connection(self.kubeconfig)


def require() -> None:
    """Skip the test where there are no binaries."""
    try:
        find_binaries()
    except ControlPlaneError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One API server for the whole run: tests use namespaces of their own. Nothing runs controllers."""
    with start_control_plane(tmp_path_factory.mktemp("envtest")) as plane:
        yield plane


@contextmanager
def start_control_plane(folder: Path, *, controllers: bool = False) -> Iterator[ControlPlane]:
    """Run a control plane with its state in `folder`; everything ends with the block."""
    require()
    with product.control_plane(folder, controllers=controllers) as plane:
        yield ControlPlane(plane.kubeconfig, plane.version)
