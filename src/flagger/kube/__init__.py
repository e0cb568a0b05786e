"""The Kubernetes API: client, informers, leases. Knows nothing of canaries."""
