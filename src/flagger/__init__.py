"""Progressive delivery for Kubernetes."""
