"""Which channel writes for which `spec.type` of an AlertProvider."""

from collections.abc import Mapping

from flagger.api.alert_provider import AlertProviderType
from flagger.notify.channels.discord import discord
from flagger.notify.channels.gchat import gchat
from flagger.notify.channels.rocket import rocket
from flagger.notify.channels.slack import slack
from flagger.notify.channels.teams import teams
from flagger.notify.message import Channel

CHANNELS: Mapping[AlertProviderType, Channel] = {
    AlertProviderType.DISCORD: discord,
    AlertProviderType.GCHAT: gchat,
    AlertProviderType.MSTEAMS: teams,
    AlertProviderType.ROCKET: rocket,
    AlertProviderType.SLACK: slack,
}
