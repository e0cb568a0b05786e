"""The custom resources as the client addresses them."""

from flagger.api.names import GROUP, VERSION
from flagger.kube.objects import Kind

CANARY = Kind(GROUP, VERSION, "Canary", "canaries")
