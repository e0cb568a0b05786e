"""Who gets which version: Services and traffic routes."""
