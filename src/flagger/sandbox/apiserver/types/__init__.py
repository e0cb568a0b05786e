"""The resource types of the API: what is served, its fields, defaults, rules and columns. No I/O."""
