"""Discord: Slack's format, sent to the variant of the webhook that understands it."""

from urllib.parse import urlsplit

from flagger.notify.attachments import attachment
from flagger.notify.message import Message, Post, Receiver


def discord(message: Message, receiver: Receiver) -> Post:
    """Write a message for Discord."""
    return Post(_slack_variant(receiver.address), attachment(message, receiver))


def _slack_variant(address: str) -> str:
    """Return the address with `/slack` at the end of its path, once; the query stays."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    return parts._replace(path=path if path.endswith("/slack") else f"{path}/slack").geturl()
