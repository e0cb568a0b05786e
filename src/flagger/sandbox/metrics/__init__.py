"""The embedded Prometheus-compatible metrics store."""
