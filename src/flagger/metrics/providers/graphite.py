"""Graphite's render API: https://graphite.readthedocs.io/en/latest/render_api.html."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Self
from urllib.parse import unquote_plus

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, UnusableError, authorization, decode
from flagger.metrics.base import ProviderError, Reading, Tools

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Graphite:
    """The query is the query string of a render URL; the newest value of the last series that has any counts."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider; with a Secret, user name and password of it."""
        headers = authorization(spec.type, credentials) if spec.secret_ref else ()
        return cls(Backend.of("Graphite", spec, credentials, tools, headers=headers))

    async def check(self) -> ProviderError | None:
        """Ask for something; that there is no data is a fine answer."""
        reading = await self.query("target=test", window=timedelta())
        return reading if isinstance(reading, ProviderError) else None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Render as JSON; the time range is in the query, a day by Graphite's own default."""
        query = " ".join(text.split())
        try:
            params = _parameters(query)
        except UnusableError as error:
            return self._backend.error(str(error), query)
        return await self._backend.read(self._backend.get("/render", params), query, _newest)


def _parameters(query: str) -> list[tuple[str, str]]:
    """Return the parameters in alphabetical order, with the format that is understood here."""
    if "#" in query or ";" in query:
        raise UnusableError("the query holds # or ;, which end a parameter: write %23 or %3B")
    if bad := _BAD_ESCAPE.search(query):
        raise UnusableError(f"{query[bad.start() :][:3]!r} is no escape: write %25 for a percent sign")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    given = [(unquote_plus(key), unquote_plus(value)) for key, _, value in pairs]
    kept = [pair for pair in given if pair[0] != "format"]
    return sorted([*kept, ("format", "json")], key=lambda pair: pair[0])


class _Series(msgspec.Struct):
    datapoints: list[tuple[float | str | None, float | str | None]]


def _newest(body: bytes) -> float | None:
    """Return the last value that is there, of all series in their order."""
    values = [value for series in decode(body, list[_Series]) for value, _ in series.datapoints]
    found = next((value for value in reversed(values) if value is not None), None)
    return None if found is None else float(found)
