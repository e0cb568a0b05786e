"""The embedded Kubernetes-compatible API server."""

from flagger.sandbox.apiserver.call import User
from flagger.sandbox.apiserver.server import ApiServer

__all__ = ["ApiServer", "User"]
