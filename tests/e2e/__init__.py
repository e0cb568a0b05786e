"""Releases from end to end: real processes, real traffic."""
