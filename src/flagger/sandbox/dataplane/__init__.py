"""Envoy, configured from what the objects say: every Service address, every Gateway, and a forward proxy.

Objects → `translators` → `routes` (what to serve) → `emit` → files that Envoy reads.
"""

from flagger.sandbox.dataplane.dataplane import DataPlane

__all__ = ["DataPlane"]
