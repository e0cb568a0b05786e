"""Gateway API: one HTTPRoute of the apex's name."""
