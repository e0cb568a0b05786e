"""Envoy, configured from what the objects say."""
