"""The embedded store held against a real Prometheus: same samples, same queries, same answers."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flagger.sandbox.metrics.promql.engine import Engine
from flagger.sandbox.metrics.promql.errors import QueryError
from flagger.sandbox.metrics.store import SeriesStore
from flagger.sandbox.metrics.wire import instant_data, range_data
from tests.sandbox.metrics import oracle, worlds
from tests.sandbox.metrics.queries import BUILT_IN, OVER_TIME, PROMQL, RANKINGS, render

pytestmark = pytest.mark.prometheus

STATUS = {"bad_data": 400, "execution": 422}
_namespaces = count()


@pytest.fixture(scope="module")
def prometheus() -> Iterator[oracle.Prometheus]:
    """A real Prometheus, empty at first; every world gets a namespace of its own in it."""
    oracle.require()
    with oracle.running() as server:
        yield server


@dataclass(frozen=True, slots=True)
class Both:
    """The same world in both servers."""

    namespace: str
    real: oracle.Prometheus
    embedded: Engine
    end: int
    """The time of the last sample, ms."""
    random: Random

    @classmethod
    def load(cls, prometheus: oracle.Prometheus, number: int) -> "Both":
        """Make the world with this seed and store it twice."""
        namespace = f"w{next(_namespaces)}"
        world = worlds.make_world(number, namespace)
        store = SeriesStore()
        worlds.store(world, store)
        prometheus.write(worlds.feed(world))
        end = max(target.scrapes[-1][0] for target in world)
        return cls(namespace, prometheus, Engine(store), end, Random(number))

    def query(self, text: str) -> str:
        """The text with the world's names and some interval."""
        span = self.end - worlds.EPOCH
        return render(text, self.namespace, f"{int(span * self.random.choice((0.02, 0.1, 0.3)))}ms")

    def moment(self) -> int:
        """Some time at which there were samples, or just after."""
        return worlds.EPOCH + int(self.random.random() * (self.end - worlds.EPOCH) * 1.1)

    def instant(self, query: str, ms: int) -> tuple[object, object]:
        """What each server answers, in comparable form."""
        try:
            kind, value = self.embedded.instant(query, ms)
            ours = comparable(instant_data(kind, value, ms))
        except QueryError as error:
            ours = (STATUS[error.kind], error.kind)
        return judged(self.real.get("/api/v1/query", query=query, time=ms / 1000)), ours

    def over_time(self, query: str, start: int, step: int) -> tuple[object, object]:
        """What each server answers for eleven steps."""
        end = start + 10 * step
        try:
            ours = comparable(range_data(self.embedded.range(query, start, end, step)))
        except QueryError as error:
            ours = (STATUS[error.kind], error.kind)
        times = {"start": start / 1000, "end": end / 1000, "step": step / 1000}
        return judged(self.real.get("/api/v1/query_range", query=query, **times)), ours


def judged(reply: oracle.Reply) -> object:
    """A reply in comparable form; of an error its kind."""
    if reply.status == 200:
        return comparable(reply.body["data"])
    return reply.status, reply.body["errorType"]


def comparable(data: Mapping[str, Any]) -> object:
    """The data of an answer with numbers for their texts and, as their order is open, series by labels."""
    result = data["result"]
    if data["resultType"] in {"scalar", "string"}:
        return data["resultType"], result[0], number(result[1], data["resultType"])
    series = {}
    for item in result:
        points = item["values"] if "values" in item else [item["value"]]
        series[tuple(sorted(item["metric"].items()))] = [(at, float(value)) for at, value in points]
    return data["resultType"], series


def number(text: str, kind: str) -> object:
    """The value of a scalar or string answer."""
    return float(text) if kind == "scalar" else text


def alike(one: object, other: object) -> bool:
    """Equal, numbers to nine digits."""
    match one, other:
        case float(), float():
            both_nan = math.isnan(one) and math.isnan(other)
            return both_nan or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
        case dict(), dict():
            return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
        case ((list() | tuple()), (list() | tuple())):
            return len(one) == len(other) and all(map(alike, one, other))
        case _:
            return one == other


def values_only(answer: object) -> object:
    """The values in order: for equal values it is open which series rank first."""
    match answer:
        case (str() as kind, dict() as series):
            ordered = sorted(points[0][1] for points in series.values() if not math.isnan(points[0][1]))
            return kind, len(series), ordered
        case _:
            return answer


worlds_of_hypothesis = settings(
    max_examples=6,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@worlds_of_hypothesis
@given(number=st.integers(0, 2**32))
def test_built_in_queries(prometheus: oracle.Prometheus, number: int) -> None:
    """Every query of the product has the value that Prometheus gives it, whatever happened to the series."""
    both = Both.load(prometheus, number)
    answered = 0
    for text in BUILT_IN:
        for _ in range(5):
            query, ms = both.query(text), both.moment()
            real, ours = both.instant(query, ms)
            assert alike(real, ours), (query, ms, real, ours)
            answered += bool(real[1])  # type: ignore[index]
    assert answered > len(BUILT_IN)  # the worlds are no empty shells


@worlds_of_hypothesis
@given(number=st.integers(0, 2**32))
def test_promql(prometheus: oracle.Prometheus, number: int) -> None:
    """Every construct has Prometheus' value or fails with its kind of error."""
    both = Both.load(prometheus, number)
    for text in PROMQL:
        for _ in range(2):
            query, ms = both.query(text), both.moment()
            real, ours = both.instant(query, ms)
            assert alike(real, ours), (query, ms, real, ours)
    for text in RANKINGS.strip().splitlines():
        query, ms = both.query(text), both.moment()
        real, ours = map(values_only, both.instant(query, ms))
        assert alike(real, ours), (query, ms, real, ours)


@worlds_of_hypothesis
@given(number=st.integers(0, 2**32))
def test_range_queries(prometheus: oracle.Prometheus, number: int) -> None:
    """Each step of a range query has the value that Prometheus gives it."""
    both = Both.load(prometheus, number)
    for text in OVER_TIME:
        query, start = both.query(text), both.moment()
        real, ours = both.over_time(query, start, both.random.choice((777, 1000, 15_000)))
        assert alike(real, ours), (query, start, real, ours)


NUMBERS = """
0 1 -0.5 -0 0.1 1e-5 1e-6 9.9e-7 1e-7 123456789 1e15 1e16 1.5e17 1e20 1e21 1.25e22 -1e300 NaN Inf -Inf
1/3 100/3 2^53+1 0.1+0.2
"""


@pytest.mark.parametrize("number", NUMBERS.split())
def test_spelling_of_numbers(prometheus: oracle.Prometheus, number: str) -> None:
    """Values are printed with the very characters that Prometheus prints."""
    engine = Engine(SeriesStore())
    for query in (number, f"vector({number})"):
        real = prometheus.get("/api/v1/query", query=query, time=1_700_000_000.25).body["data"]
        assert instant_data(*engine.instant(query, 1_700_000_000_250), 1_700_000_000_250) == real
