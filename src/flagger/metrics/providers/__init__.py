"""One file per metrics backend."""
