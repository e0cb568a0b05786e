"""The columns that `kubectl get` shows, one module per family of kinds."""
