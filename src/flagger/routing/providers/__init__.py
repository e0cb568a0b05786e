"""One file per traffic API family."""
