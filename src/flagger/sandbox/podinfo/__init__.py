"""The built-in sample app: podinfo's endpoints, flags and metrics, with faults to order."""
