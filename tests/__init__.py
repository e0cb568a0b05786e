"""The tests; they mirror `src/flagger`."""
