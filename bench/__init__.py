"""Measurements: each module offers `run() -> list[Figure]`; `python -m bench` runs them and writes the results down."""
