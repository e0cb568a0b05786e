"""What an alert says, where it goes, and the request that a channel makes of the two."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from flagger.api.alert_provider import DEFAULT_CHANNEL, DEFAULT_USERNAME, AlertProviderType
from flagger.kube.objects import Object
from flagger.rollout.state import Severity

THEME = {Severity.INFO: "0076D7", Severity.WARN: "FFA500", Severity.ERROR: "FF0000"}
"""Colours as hexadecimal RGB, for services without names for them. Upstream shows warnings like news."""

_SHORTEST_SECRET = 8  # characters; shorter parts of an address are ordinary words


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told about a Canary; `facts` are names and values in the order they are shown."""

    name: str
    namespace: str
    text: str
    severity: Severity
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def about(self) -> str:
        """Return `<canary>.<namespace>`."""
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where messages go. What may be secret is not part of the printed form."""

    type: AlertProviderType
    address: str = field(repr=False)
    """Absolute http or https URL; chat services put their credentials into its path or query."""
    token: str = field(default="", repr=False)
    channel: str = DEFAULT_CHANNEL
    username: str = DEFAULT_USERNAME
    proxy: str = field(default="", repr=False)
    """URL of the proxy for this receiver; the process's own when empty."""

    @property
    def origin(self) -> str:
        """Return scheme, host and port, which is all of the address that may be shown."""
        return origin_of(self.address)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the texts that must not be shown even if the receiver repeats them, longest first."""
        parts = urlsplit(self.address)
        pieces = re.split("[/?&=]", f"{parts.path}?{parts.query}")
        found = {piece for piece in pieces if len(piece) >= _SHORTEST_SECRET}
        found |= {self.address, parts.path.rstrip("/"), parts.query, parts.password or "", self.token}
        found |= {unquote(text) for text in found}
        return tuple(sorted(found - {""}, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class Post:
    """A request that a channel wants sent: a JSON object, and header lines beyond its type."""

    url: str = field(repr=False)
    body: Object
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


Channel = Callable[[Message, Receiver], Post]
"""Writes a message in the format of one chat service; a pure function."""


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
