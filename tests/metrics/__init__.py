"""Tests of `flagger.metrics`."""
