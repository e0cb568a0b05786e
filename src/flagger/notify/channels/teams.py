"""Microsoft Teams: an Adaptive Card for workflows, a MessageCard for the connectors they replaced.

Both addresses come from Microsoft: https://prod-1.region.logic.azure.com/workflows/…/triggers/manual/paths/invoke
or https://….environment.api.powerplatform.com/powerautomate/…/workflows/… against https://….webhook.office.com/….
"""

from urllib.parse import urlsplit

from flagger.kube.objects import Object
from flagger.notify.message import THEME, Message, Post, Receiver
from flagger.rollout.state import Severity

_ACCENTS = {Severity.INFO: "accent", Severity.WARN: "warning", Severity.ERROR: "attention"}
_WORKFLOW_HOSTS = (".logic.azure.com", ".api.powerplatform.com")


def teams(message: Message, receiver: Receiver) -> Post:
    """Write a message for Teams, in the format that belongs to the address."""
    write = _adaptive_card if is_workflow(receiver.address) else _message_card
    return Post(receiver.address, write(message))


def is_workflow(address: str) -> bool:
    """Say whether an address belongs to a workflow; that of anything else is taken for a connector's."""
    parts = urlsplit(address)
    return "/workflows/" in parts.path or (parts.hostname or "").endswith(_WORKFLOW_HOSTS)


def _adaptive_card(message: Message) -> Object:
    """Return what the trigger "When a Teams webhook request is received" takes (adaptivecards.io, 1.4)."""
    facts = [{"title": name, "value": value} for name, value in message.facts]
    title = {"type": "TextBlock", "text": message.about, "weight": "bolder", "size": "medium", "wrap": True}
    text = {"type": "TextBlock", "text": message.text, "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {**title, "color": _ACCENTS[message.severity]},
            text,
            *([{"type": "FactSet", "facts": facts}] if facts else []),
        ],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}],
    }


def _message_card(message: Message) -> Object:
    """Return what connectors take; they answer 200 even to what they can't deliver."""
    section = {
        "activityTitle": message.text,
        "activitySubtitle": message.about,
        "facts": [{"name": name, "value": value} for name, value in message.facts],
    }
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": THEME[message.severity],
        "summary": message.about,
        "sections": [section],
    }
