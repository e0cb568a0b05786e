"""What every Kubernetes API server does: run against the embedded one and, with KUBEBUILDER_ASSETS, a real one."""
