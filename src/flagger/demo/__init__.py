"""The demonstration: one good and one bad release on the sandbox."""
