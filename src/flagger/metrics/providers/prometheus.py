"""Prometheus and everything that speaks its HTTP API: Thanos, Mimir, Cortex, VictoriaMetrics.

Wire format: https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.base import Backend, ProviderError, Reading, Sample, check_address
from flagger.outbound import Answer, Call, Outbound, basic


class Prometheus:
    """Asks one server; of several series that come back the last one counts, as upstream has it."""

    def __init__(
        self, backend: Backend, *, headers: Sequence[tuple[str, str]] = (), verify: bool = True
    ) -> None:
        """A path in the backend's address is a prefix; user info becomes Basic authentication."""
        where = urlsplit(backend.address)
        path = f"{where.path.rstrip('/')}/api/v1/query"
        self._url = urlunsplit((where.scheme, where.netloc, path, "", ""))
        self._backend, self._headers, self._verify = backend, tuple(headers), verify

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], outbound: Outbound) -> Self:
        """Read a MetricTemplate's provider; `token` wins over `username` and `password`."""
        check_address("spec.provider.address", spec.address, "prometheus")
        headers = [(name, value) for name, values in spec.headers.items() for value in values]
        if spec.secret_ref is not None and (authorization := _authorization(credentials)):
            # The operator's credentials replace a header that the user wrote: two would be ambiguous.
            headers = [line for line in headers if line[0].lower() != "authorization"]
            headers.append(("Authorization", authorization))
        backend = Backend(outbound, spec.address, tuple(credentials.values()))
        return cls(backend, headers=headers, verify=not spec.insecure_skip_verify)

    async def check(self) -> ProviderError | None:
        """Ask for `vector(1)`, which every server can answer."""
        match await self.query("vector(1)", window=timedelta()):
            case Sample(value=1.0):
                return None
            case ProviderError() as error:
                return error
            case _:
                return self._backend.error("the result is not 1", "vector(1)")

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Run an instant query at the server's own time; the window is in the query."""
        url = f"{self._url}?{urlencode({'query': text})}"
        call = Call(url=url, headers=self._headers, redirects=10, verify=self._verify)
        answer = await self._backend.ask(call, text)
        if isinstance(answer, ProviderError):
            return answer
        try:
            values = _values(answer)
        except _UnusableError as error:
            return self._backend.error(str(error), text, answer.body)
        if not values or math.isnan(values[-1]):
            return self._backend.no_data(text)
        return Sample(values[-1], f"{len(values)} series, the last one counts" if len(values) > 1 else "")


def _authorization(credentials: Mapping[str, str]) -> str:
    """Return the Authorization header for the Secret's keys; empty for an empty token."""
    if "token" in credentials:
        return f"Bearer {credentials['token']}" if credentials["token"] else ""
    for key in ("username", "password"):
        if key not in credentials:
            problem = f"prometheus credentials does not contain a {key}"
            raise FieldError("spec.provider.secretRef", problem, "add token, or username and password")
    return basic(credentials["username"], credentials["password"])


class _Data(msgspec.Struct):
    result: list[Any]


class _Body(msgspec.Struct):
    data: _Data


class _UnusableError(Exception):
    """The answer is not one that a metric can be judged by."""


def _values(answer: Answer) -> list[float]:
    """Return the samples of an instant vector, in the server's order."""
    try:
        series = msgspec.json.decode(answer.body, type=_Body).data.result
        return [value for one in series if (value := _value(one)) is not None]
    except ValueError as error:  # also what the JSON decoder raises
        raise _UnusableError("this is no answer of a Prometheus") from error


def _value(series: object) -> float | None:
    """Return the sample of one series; None when it is no text."""
    match series:
        case {"values": list()}:
            raise _UnusableError("query returned multiple values, it yields a range vector")
        case {"value": [_, str(sample), *_]}:
            return float(sample)
        case {"value": [_, _, *_]}:
            return None
        case {"histogram": _}:
            raise _UnusableError("the query yields a native histogram, not a number")
        case {}:
            raise _UnusableError("a series has no value")
        case _:
            raise _UnusableError("the query yields a scalar or a string, not a vector")
