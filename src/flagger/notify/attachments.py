"""The message format that Slack invented and others take: one coloured attachment.

https://api.slack.com/reference/messaging/attachments
"""

from collections.abc import Mapping

from flagger.kube.objects import Object
from flagger.notify.message import Message, Receiver
from flagger.rollout.state import Severity

COLORS = {Severity.INFO: "good", Severity.WARN: "warning", Severity.ERROR: "danger"}
"""The names that Slack has for colours. Upstream shows warnings like news."""


def attachment(message: Message, receiver: Receiver, colors: Mapping[Severity, str] = COLORS) -> Object:
    """Return the body of a message; a webhook that has a channel of its own needs none."""
    return {
        **({"channel": receiver.channel} if receiver.channel else {}),
        "username": receiver.username,
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [
            {
                "color": colors[message.severity],
                "author_name": message.about,
                "text": message.text,
                "mrkdwn_in": ["text"],
                "fields": [{"title": name, "value": value, "short": False} for name, value in message.facts],
            }
        ],
    }
