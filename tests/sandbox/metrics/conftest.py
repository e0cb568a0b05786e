"""Fixtures of this folder."""

from tests.fakes.envtest import control_plane

__all__ = ["control_plane"]
