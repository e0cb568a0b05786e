"""Small controllers that talk only through the Kubernetes API."""

from flagger.sandbox.controllers.controllers import NAMES, Controllers

__all__ = ["NAMES", "Controllers"]
