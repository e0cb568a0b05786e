"""The parts of an HTTPProxy: conditions and routes."""
