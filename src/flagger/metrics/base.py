"""The contract of metric backends, and what a pass over the metrics results in."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.kube.client import Client
from flagger.outbound import Outbound
from flagger.proxies import Proxies
from flagger.rollout.facts import Verdict


@dataclass(frozen=True, slots=True)
class Sample:
    """A number, in the unit of the query; never NaN."""

    value: float
    note: str = ""
    """What a reader should know about how the number was chosen, for the log."""


@dataclass(frozen=True, slots=True)
class NoData:
    """The backend answered, and has no number."""

    detail: str
    """One line with address and query."""


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The backend could not be asked, or its answer makes no sense."""

    problem: str
    """One line with address, query and what came back; without credentials."""


Reading = Sample | NoData | ProviderError


class MetricProvider(Protocol):
    """A metric backend, configured and ready; asking never raises."""

    async def check(self) -> ProviderError | None:
        """Return why the backend cannot be used right now, or None."""

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Return the number that the query yields.

        Args:
            text: the query in the backend's own language, rendered.
            window: how far back to look, for backends whose queries do not say it themselves.
        """


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers work with, beside their settings."""

    outbound: Outbound
    client: Client
    """The API server, for backends that are reached through it."""
    proxies: Proxies = field(default_factory=Proxies)
    """The process's own proxies."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    sessions: dict[str, Any] = field(default_factory=dict)
    """Of SDKs, by name: what is large or costs time to get, and serves several providers."""


class Factory(Protocol):
    """Makes the provider of one type."""

    def __call__(self, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools, /) -> MetricProvider:
        """Return the provider; `credentials` are the Secret's values, empty without a secretRef.

        Raises:
            FieldError: a setting or a key of the Secret is missing or unusable.
        """


@dataclass(frozen=True, slots=True)
class MetricResult:
    """What became of one check of a metric."""

    name: str
    """Name of the metric in the Canary."""
    verdict: Verdict
    value: float | None = None
    """What was measured: percent for a success rate, seconds for a duration, else as queried."""
    bound: str = ""
    """The violated bound as the message shows it, such as `< 99%`; empty unless the verdict is FAIL."""
    message: str = ""
    """The sentence for Event and log; empty when the check passed."""
    query: str = ""
    """The rendered query, where there is one."""
