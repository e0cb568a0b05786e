"""Tests of the models, the rules and the CRDs."""
