"""The contract of metric backends, their shared I/O, and what a pass over the metrics results in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.outbound import Answer, Call, Outbound, OutboundError, excerpt, shown_address
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


class Factory(Protocol):
    """Makes the provider of one type."""

    def __call__(
        self, spec: ProviderSpec, credentials: Mapping[str, str], outbound: Outbound
    ) -> MetricProvider:
        """Return the provider.

        Raises:
            FieldError: a setting or a key of the Secret is missing or unusable.
        """


@dataclass(frozen=True, slots=True)
class Backend:
    """An HTTP backend: where it is and what must not be shown; asks, and phrases what went wrong."""

    outbound: Outbound
    address: str
    """Base URL as the user wrote it."""
    secrets: Sequence[str] = ()
    """Values that must not appear in messages."""

    async def ask(self, call: Call, query: str) -> Answer | ProviderError:
        """Send a request that carries `query`; every status from 300 on is an error."""
        try:
            answer = await self.outbound.send(call)
        except OutboundError as error:
            return self.error(error.problem, query)
        if answer.status >= 300:
            return self.error(answer.status_line, query, answer.body)
        return answer

    def error(self, problem: str, query: str, body: bytes = b"") -> ProviderError:
        """Return an error that names the address, the query and the beginning of what came back."""
        came_back = f": {excerpt(body, secrets=self.secrets, limit=300)}" if body else ""
        return ProviderError(self._sentence(f"{problem}{came_back}", query))

    def no_data(self, query: str) -> NoData:
        """Return that the backend has no value for `query`."""
        return NoData(self._sentence("no values found", query))

    def _sentence(self, what: str, query: str) -> str:
        asked = excerpt(query, secrets=self.secrets, limit=400)
        return f"{shown_address(self.address)}: {what} (query: {asked})"


def check_address(field: str, address: str, backend: str) -> None:
    """Check that a backend's address can be used.

    Raises:
        FieldError: it is not an absolute http or https URL.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        problem = f"{backend} address {shown_address(address)!r} is not a valid URL"
        raise FieldError(field, problem, "write it as http://host:port")


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
