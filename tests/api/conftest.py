"""The real API server, for the tests that ask for it."""

from tests.fakes.envtest import control_plane

__all__ = ["control_plane"]
