"""Google Chat: a card of text paragraphs, whose text is HTML.

https://developers.google.com/workspace/chat/api/reference/rest/v1/cards-v1
"""

from html import escape

from flagger.kube.objects import Object
from flagger.notify.message import THEME, Message, Post, Receiver
from flagger.rollout.state import Severity

_GREY = "848484"
_HEADER = {"title": "Flagger", "imageUrl": "https://flagger.app/favicon.png"}


def gchat(message: Message, receiver: Receiver) -> Post:
    """Write a message for Google Chat; upstream shows every severity in grey."""
    color = _GREY if message.severity is Severity.INFO else THEME[message.severity]
    facts = (f"{escape(name, quote=False)}<br>{_strong(value, _GREY)}" for name, value in message.facts)
    sections = [_section(text) for text in (_strong(message.text, color), *facts)]
    header = {**_HEADER, "subtitle": message.about}
    return Post(receiver.address, {"cards": [{"header": header, "sections": sections}]})


def _strong(text: str, color: str) -> str:
    return f"<font color=#{color}><strong>{escape(text, quote=False)}</strong></font>"


def _section(text: str) -> Object:
    return {"widgets": [{"textParagraph": {"text": text}}]}
