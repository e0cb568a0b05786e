"""The AlertProvider: a chat channel that Canaries can share."""

from enum import StrEnum
from typing import ClassVar

from flagger.api.model import Model, decode
from flagger.api.references import Metadata, SecretRef
from flagger.api.schema import JsonSchema

DEFAULT_CHANNEL = "general"
DEFAULT_USERNAME = "flagger"


class AlertProviderType(StrEnum):
    """Format of the messages."""

    SLACK = "slack"
    MSTEAMS = "msteams"
    DISCORD = "discord"
    ROCKET = "rocket"
    GCHAT = "gchat"


class AlertProviderSpec(Model):
    """How a channel is reached."""

    SCHEMA: ClassVar[JsonSchema] = {
        "oneOf": [{"required": ["type", "address"]}, {"required": ["type", "secretRef"]}]
    }

    type: AlertProviderType
    """Format of the messages."""
    channel: str = ""
    """Channel (slack, discord, rocket); general when empty."""
    username: str = ""
    """Name of the sender (slack, discord, rocket); flagger when empty."""
    address: str = ""
    """URL that receives the messages."""
    proxy: str = ""
    """URL of the HTTP proxy for the messages."""
    secret_ref: SecretRef | None = None
    """Secret in the same namespace with the key address and (slack) optionally token; wins over address."""

    @property
    def channel_or_default(self) -> str:
        """Return the channel with its default filled in."""
        return self.channel or DEFAULT_CHANNEL

    @property
    def username_or_default(self) -> str:
        """Return the name of the sender with its default filled in."""
        return self.username or DEFAULT_USERNAME


class AlertProvider(Model):
    """One object of kind AlertProvider, group flagger.app, version v1beta1."""

    metadata: Metadata
    """Standard metadata."""
    spec: AlertProviderSpec
    """What the user wants."""

    @classmethod
    def parse(cls, obj: object) -> "AlertProvider":
        """Return the typed form of a plain object.

        Raises:
            FieldError: a field has the wrong type, is missing, or names an unknown type of provider.
        """
        return decode(obj, cls)

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
