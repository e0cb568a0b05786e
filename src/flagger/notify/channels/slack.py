"""Slack: incoming webhooks, and chat.postMessage with a bot token; the address decides which it is."""

from dataclasses import replace
from html import escape

from flagger.notify.attachments import attachment
from flagger.notify.message import Message, Post, Receiver


def slack(message: Message, receiver: Receiver) -> Post:
    """Write a message for Slack.

    Slack wants `&`, `<` and `>` escaped: `<!channel>` in somebody's error text would call everybody.
    """
    plain = replace(
        message,
        text=escape(message.text, quote=False),
        facts=tuple((name, escape(value, quote=False)) for name, value in message.facts),
    )
    headers = (("Authorization", f"Bearer {receiver.token}"),) if receiver.token else ()
    return Post(receiver.address, attachment(plain, receiver), headers)
