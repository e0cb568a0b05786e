"""From each provider's objects to what the data plane serves: a module per API family, a row in `table`."""
