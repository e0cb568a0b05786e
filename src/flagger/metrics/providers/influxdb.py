"""InfluxDB 2.x and its Flux queries: https://docs.influxdata.com/influxdb/v2/api/ (annotated CSV)."""

import csv
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Self

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.backend import Backend, UnusableError, required
from flagger.metrics.base import ProviderError, Reading, Tools
from flagger.outbound import Call

WITHIN = timedelta(seconds=15)
DIALECT = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
NUMBERS = frozenset({"double", "long", "unsignedLong"})


class InfluxDb:
    """The column `_value` of the first record counts."""

    def __init__(self, backend: Backend, organisation: str) -> None:
        self._backend, self._params = backend, [("org", organisation)]

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider; with a Secret, token and organisation of it."""
        token, organisation = (
            required(credentials, spec.type, "token", "org") if spec.secret_ref else ("", "")
        )
        headers = [("Authorization", f"Token {token}")] if token else []
        return cls(Backend.of("InfluxDB 2", spec, credentials, tools, headers=headers), organisation)

    async def check(self) -> ProviderError | None:
        """List one bucket, which takes the token as well as the query language."""
        query = "buckets() |> limit(n: 1)"
        reading = await self._backend.read(self._call(query), query, _anything)
        return reading if isinstance(reading, ProviderError) else None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Run a Flux query, which says itself how far it looks back."""
        return await self._backend.read(self._call(text), text, _first_value)

    def _call(self, query: str) -> Call:
        content = {"query": query, "type": "flux", "dialect": DIALECT}
        return self._backend.post("/api/v2/query", content, params=self._params, within=WITHIN)


def _anything(body: bytes) -> None:
    """Take every answer but an error."""
    _first(body)


def _first_value(body: bytes) -> float | None:
    """Return `_value` of the first record."""
    record = _first(body)
    if record is None:
        return None
    kind, text = record.get("_value", ("missing", ""))
    if kind not in NUMBERS:
        raise UnusableError(f"_value is {kind}, not a number; use toFloat()")
    return float(text) if text else None


def _first(body: bytes) -> dict[str, tuple[str, str]] | None:
    """Return the first record of an annotated CSV, None when there is none."""
    record = next(_records(body.decode()), None)
    if record is not None and "error" in record:
        raise UnusableError(f"the query failed: {record['error'][1]}")
    return record


def _records(text: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield each record as type and value by column; an empty cell has its column's default."""
    notes: dict[str, list[str]] = {}
    header: list[str] = []
    for row in csv.reader(text.splitlines()):
        if not any(row):
            notes, header = {}, []  # an empty line ends a table
        elif row[0].startswith("#"):
            notes, header = {**({} if header else notes), row[0]: row[1:]}, []
        elif not header:
            if "#datatype" not in notes:
                raise ValueError("a table without its annotations")
            header = row[1:]
        else:
            yield _record(header, row[1:], notes)


def _record(header: list[str], cells: list[str], notes: dict[str, list[str]]) -> dict[str, tuple[str, str]]:
    kinds, defaults = notes.get("#datatype", []), notes.get("#default", [])
    if not len(header) == len(cells) == len(kinds) == len(defaults):
        raise ValueError("the columns of a table differ in number")
    return {
        name: (kind, cell or default)
        for name, kind, cell, default in zip(header, kinds, cells, defaults, strict=True)
    }
