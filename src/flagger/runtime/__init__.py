"""The flow: watch, queue, advance, effects, status."""
