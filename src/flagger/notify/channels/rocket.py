"""Rocket.Chat: Slack's format with colours in hexadecimal."""

from flagger.notify.attachments import attachment
from flagger.notify.message import THEME, Message, Post, Receiver

_COLORS = {severity: f"#{color}" for severity, color in THEME.items()}


def rocket(message: Message, receiver: Receiver) -> Post:
    """Write a message for Rocket.Chat."""
    return Post(receiver.address, attachment(message, receiver, _COLORS))
