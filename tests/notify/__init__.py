"""Tests of `flagger.notify`."""
