"""App Mesh: virtual nodes, a virtual router and a virtual service for the apex, and the same for the canary."""
