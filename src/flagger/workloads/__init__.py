"""What is being released: targets, primaries and their scalers."""
