"""Fixtures of this folder."""

from tests.fakes.cluster import lab

__all__ = ["lab"]
