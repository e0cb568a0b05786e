"""Splunk Observability (SignalFx): SignalFlow programs over a WebSocket.

https://dev.splunk.com/observability/docs/signalflow/messages/.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec.structs import replace as with_fields

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, Json, UnusableError, decode, required, time_range, with_header
from flagger.metrics.base import ProviderError, Reading, Sample, Tools
from flagger.metrics.signalflow import points
from flagger.outbound import OutboundError

WITHIN = timedelta(seconds=15)
CHANNEL = "ch-1"
ENDS = frozenset({"END_OF_CHANNEL", "CHANNEL_ABORT"})


class Splunk:
    """Runs a program over the last ten windows; the newest value of its one series counts."""

    def __init__(self, backend: Backend, token: str, clock: Callable[[], float]) -> None:
        """`backend` is at either of the two hosts."""
        self.backend, self._token, self._clock = backend, token, clock

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider and the token of its Secret; either of the two hosts will do."""
        (token,) = required(credentials, spec.type, "sf_token_key")
        http = with_fields(spec, address=re.sub(r"^ws(?=s?://)", "http", spec.address))
        return cls(Backend.of("SignalFlow", http, credentials, tools), token, tools.clock)

    async def check(self) -> ProviderError | None:
        """List one metric over plain HTTP."""
        call = at_host(self.backend, "api").get("/v2/metric", [("limit", "1")])
        return await self.backend.check(with_header(call, "X-SF-Token", self._token))

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Run the program and wait for its end."""
        backend = at_host(self.backend, "stream")
        call = replace(backend.get("/v2/signalflow/connect"), within=WITHIN)
        try:
            heard = await backend.outbound.talk(call, self._said(text, window), _is_last)
        except OutboundError as error:
            return backend.error(error.problem, text)
        if not heard:
            return backend.error("the connection was closed without a word; is sf_token_key right?", text)
        return backend.picked(_last_text(heard), text, lambda _: _newest(heard))

    def _said(self, program: str, window: timedelta) -> list[str]:
        start, stop = (int(moment * 1000) for moment in time_range(self._clock, window))
        execute = {
            "type": "execute",
            "channel": CHANNEL,
            "program": program,
            "start": start,
            "stop": stop,
            "immediate": True,
            "resolution": 0,
            "maxDelay": 0,
            "timezone": "",
        }
        authenticate = {"type": "authenticate", "token": self._token}
        return [msgspec.json.encode(message).decode() for message in (authenticate, execute)]


def at_host(backend: Backend, label: str) -> Backend:
    """Return the backend at its other host: programs run at `stream.…`, everything else is at `api.…`."""
    where = urlsplit(backend.address)
    login, at, host = where.netloc.rpartition("@")
    first, dot, rest = host.partition(".")
    if first not in ("api", "stream"):
        return backend
    return replace(backend, address=urlunsplit(where._replace(netloc=f"{login}{at}{label}{dot}{rest}")))


def _is_last(message: str | bytes) -> bool:
    """Say whether nothing worth hearing comes behind a message."""
    if isinstance(message, bytes):
        return False
    told = _told(message)
    return told.get("type") == "error" or told.get("event") in ENDS


def _told(message: str) -> Json:
    try:
        return decode(message.encode(), Json)
    except ValueError:
        return {}


def _last_text(heard: list[str | bytes]) -> bytes:
    last = heard[-1]
    return last.encode() if isinstance(last, str) else b""


def _newest(heard: list[str | bytes]) -> Sample | None:
    """Return the last value of the one series that the messages hold."""
    values = []
    for message in heard:
        if isinstance(message, bytes):
            values += points(message)
        elif (told := _told(message)).get("type") == "error":
            raise UnusableError(f"the program was refused: {told.get('message') or told.get('errorType')}")
    if len({series for series, _ in values}) > 1:
        raise UnusableError("query returned multiple values, the program yields several series")
    return Sample(values[-1][1]) if values else None
