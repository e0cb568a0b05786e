"""What makes an object of a built-in kind invalid."""
