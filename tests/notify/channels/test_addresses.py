"""Which address means which format, and where the request goes."""

import pytest

from flagger.api.alert_provider import AlertProviderType
from flagger.notify.channels.discord import discord
from flagger.notify.channels.slack import slack
from flagger.notify.channels.teams import is_workflow
from flagger.notify.message import Message, Receiver
from flagger.rollout.state import Severity

MESSAGE = Message("checkout", "shop", "text", Severity.INFO)


@pytest.mark.parametrize(
    ("address", "workflow"),
    [
        (
            "https://prod-1.westeurope.logic.azure.com:443/workflows/ab/triggers/manual/paths/invoke?sig=x",
            True,
        ),
        ("https://prod-1.usgovtexas.logic.azure.us:443/workflows/ab/triggers/manual/paths/invoke", True),
        (
            "https://d1.e2.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/ab",
            True,
        ),
        ("https://x.westeurope.logic.azure.com/other", True),
        ("https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d", False),
        ("https://outlook.office.com/webhook/a@b/IncomingWebhook/c/d", False),
        ("https://relay.example/teams?for=logic.azure.com", False),
    ],
)
def test_teams(address: str, workflow: bool) -> None:
    """Workflows are told from connectors by their address."""
    assert is_workflow(address) is workflow


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/1/abc/slack"),
        ("https://discord.com/api/webhooks/1/abc/", "https://discord.com/api/webhooks/1/abc/slack"),
        ("https://discord.com/api/webhooks/1/abc/slack", "https://discord.com/api/webhooks/1/abc/slack"),
        (
            "https://discord.com/api/webhooks/1/abc/slack/?a=b",
            "https://discord.com/api/webhooks/1/abc/slack?a=b",
        ),
        ("https://discord.com/w/1/abc?x=/slack", "https://discord.com/w/1/abc/slack?x=/slack"),
        ("https://discord.com/w/1/a%2Fslack?x=%2F", "https://discord.com/w/1/a%2Fslack/slack?x=%2F"),
    ],
)
def test_discord(address: str, target: str) -> None:
    """The path ends in /slack, once, and everything else of the address stays."""
    assert discord(MESSAGE, Receiver(type=AlertProviderType.DISCORD, address=address)).url == target


def test_slack_webhook_with_a_channel_of_its_own() -> None:
    """Without a channel there is no such key: Slack refuses an empty one."""
    receiver = Receiver(type=AlertProviderType.SLACK, address="https://hooks.slack.com/x", channel="")
    assert "channel" not in slack(MESSAGE, receiver).body
