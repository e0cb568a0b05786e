"""What every part of a tick works with: the cluster, the settings, and the adapters of this operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from flagger.kube.cluster import Cluster
from flagger.metrics.analysis import MetricAnalysis
from flagger.notify.alerts import Alerts
from flagger.notify.events import Announcer
from flagger.notify.webhooks import Webhooks
from flagger.routing.services import Services
from flagger.routing.sync import Routes
from flagger.runtime.registry import Registry
from flagger.runtime.settings import Settings
from flagger.runtime.telemetry import Telemetry
from flagger.workloads.table import Workloads


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The outside, wired once in `main`.

    `clock` returns the current time in UTC.
    """

    cluster: Cluster
    settings: Settings
    clock: Callable[[], datetime]
    workloads: Workloads
    services: Services
    routes: Routes
    metrics: MetricAnalysis
    webhooks: Webhooks
    announcer: Announcer
    alerts: Alerts
    telemetry: Telemetry
    registry: Registry = field(default_factory=Registry)
