"""The core of the embedded API server."""
