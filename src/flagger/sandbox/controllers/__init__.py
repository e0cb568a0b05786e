"""Small controllers that talk only through the Kubernetes API."""
