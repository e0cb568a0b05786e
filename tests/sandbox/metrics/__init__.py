"""Tests of the embedded metrics store."""
