"""The operator's own receiver of alerts, as the flags name it: for Canaries without `analysis.alerts`."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog

from flagger.api.alert_provider import DEFAULT_USERNAME, AlertProviderType
from flagger.api.errors import FieldError
from flagger.notify.message import Receiver
from flagger.notify.receivers import usable_proxy, usable_url
from flagger.runtime.settings import Settings

log = structlog.get_logger(__name__)


def default_receiver(settings: Settings) -> Receiver | None:
    """The receiver; None when there is none, or when its settings are unusable, which is logged."""
    try:
        receiver = _teams(settings) or _slack(settings)
    except FieldError as error:
        fault = str(error)
    else:
        if receiver is not None:
            log.info("notifications enabled", type=str(receiver.type), receiver=receiver.origin)
        return receiver
    log.error("notifier can't be used, its alerts are dropped", problem=fault)
    return None


def _teams(settings: Settings) -> Receiver | None:
    address, proxy = settings.msteams_url.strip(), settings.msteams_proxy_url
    if not address:
        return None
    return Receiver(
        type=AlertProviderType.MSTEAMS,
        address=usable_url(address, "-msteams-url"),
        proxy=usable_proxy(proxy, "-msteams-proxy-url"),
    )


def _slack(settings: Settings) -> Receiver | None:
    address, token = settings.slack_url.strip(), settings.slack_token.strip()
    if not address:
        return None
    if not settings.slack_channel and (token or urlsplit(address).path.endswith("/chat.postMessage")):
        raise FieldError("-slack-channel", "is empty, and a bot has no channel of its own", "name one")
    return Receiver(
        type=AlertProviderType.SLACK,
        address=usable_url(address, "-slack-url"),
        token=token,
        channel=settings.slack_channel,
        username=settings.slack_user or DEFAULT_USERNAME,
        proxy=usable_proxy(settings.slack_proxy_url, "-slack-proxy-url"),
    )
