"""A Kubernetes-compatible cluster of local processes, for demos and tests; not for production."""
