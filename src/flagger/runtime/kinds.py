"""The custom resources as the client addresses them."""

from flagger.api.names import GROUP, RELEASE_GROUP, RELEASE_VERSION, VERSION
from flagger.kube.objects import Kind

CANARY = Kind(GROUP, VERSION, "Canary", "canaries")
RELEASE = Kind(RELEASE_GROUP, RELEASE_VERSION, "Release", "releases")
RELEASE_ACTION = Kind(RELEASE_GROUP, RELEASE_VERSION, "ReleaseAction", "releaseactions")
