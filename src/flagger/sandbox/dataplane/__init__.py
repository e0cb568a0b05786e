"""Envoy, configured from what the objects say: every Service address, every Gateway, and a forward proxy.

Objects → `translators` → `routes` (what to serve) → `emit` → `discovery`, from which Envoy takes it.
"""

from flagger.sandbox.dataplane.dataplane import DataPlane

__all__ = ["DataPlane"]
