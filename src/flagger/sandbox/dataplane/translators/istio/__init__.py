"""The parts of Istio's translator: VirtualServices for Services and for the front doors of Istio Gateways."""
