"""Alerts on their way: an API server that holds providers and Secrets, and what the operator makes of them."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from flagger.api.canary import Canary
from flagger.kube.cluster import Cluster
from flagger.kube.objects import SECRET
from flagger.notify.alerts import Alerts
from flagger.notify.events import Announcer
from flagger.notify.message import Receiver
from flagger.notify.posting import Poster
from flagger.notify.receivers import ALERT_PROVIDER
from flagger.notify.webhooks import Webhooks
from flagger.outbound import Outbound, Proxies
from flagger.rollout.state import Alert, Severity
from tests.kube.tiny_api import TinyApi, client_of, running

NEWS = Alert("New revision detected, progressing canary analysis", Severity.INFO)
WARNING = Alert("Canary is waiting for approval", Severity.WARN)
ERROR = Alert("Failed checks threshold reached 5", Severity.ERROR)


def a_canary(*alerts: dict[str, Any], name: str = "checkout", generation: int = 1, **analysis: Any) -> Canary:
    """A Canary in `shop` with these `analysis.alerts`."""
    return Canary.parse(
        {
            "metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "generation": generation},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "analysis": {
                    **(analysis or {"threshold": 5, "stepWeight": 10, "maxWeight": 50}),
                    "alerts": list(alerts),
                },
            },
            "status": {"phase": "Progressing"},
        }
    )


def to(provider: str, severity: str = "", *, namespace: str = "") -> dict[str, Any]:
    """One entry of `analysis.alerts`, named like its provider."""
    return {
        "name": provider,
        "severity": severity,
        "providerRef": {"name": provider, **({"namespace": namespace} if namespace else {})},
    }


def numbered(number: int) -> Alert:
    """An alert that can be told from others."""
    return Alert(f"alert {number}", Severity.INFO)


@dataclass
class Office:
    """Where alerts are handed in. `api` holds the providers."""

    api: TinyApi
    alerts: Alerts

    def provider(self, name: str, *, namespace: str = "shop", **spec: Any) -> None:
        """Store an AlertProvider; of type slack unless it says otherwise."""
        self.api.put(ALERT_PROVIDER, name, namespace, spec={"type": "slack", **spec})

    def secret(self, name: str, *, namespace: str = "shop", **values: str) -> None:
        """Store a Secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.api.put(SECRET, name, namespace, data=data)

    async def tell(self, canary: Canary, *alerts: Alert) -> None:
        """Hand in alerts and wait until they are delivered or given up."""
        for alert in alerts:
            self.alerts.tell(canary, alert)
        await self.alerts.drain()

    @property
    def warnings(self) -> list[str]:
        """The messages of the Events that were written."""
        return [obj["message"] for (plural, _, _), obj in self.api.objects.items() if plural == "events"]


@asynccontextmanager
async def an_office(
    *, proxies: Proxies | None = None, cluster_name: str = "", default: Receiver | None = None
) -> AsyncIterator[Office]:
    """Alerts and announcements being delivered."""
    async with (
        running(TinyApi()) as api,
        client_of(api) as client,
        Cluster(client) as cluster,
        Outbound() as outbound,
    ):
        announcer = Announcer(client, Webhooks(outbound))
        poster = Poster(outbound, proxies=proxies)
        alerts = Alerts(cluster, poster, announcer, cluster_name=cluster_name, default=default)
        tasks = [asyncio.create_task(announcer.run()), asyncio.create_task(alerts.run())]
        try:
            yield Office(api, alerts)
            await announcer.drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
