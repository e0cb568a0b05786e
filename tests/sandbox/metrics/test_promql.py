"""PromQL on samples small enough to be checked by hand; the rest is the differential test's."""

import math
from datetime import timedelta

import pytest

from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.promql.engine import Engine
from flagger.sandbox.metrics.promql.errors import (
    BadQueryError,
    ExecutionError,
    QueryError,
    QueryTimeoutError,
    UnsupportedError,
)
from flagger.sandbox.metrics.promql.evaluation import Settings
from flagger.sandbox.metrics.store import SeriesStore

NOW = 60_000


def engine() -> Engine:
    """Counters that grow by 2, 1 and 0 per second, one of them restarted; a histogram; an old gauge."""
    store = SeriesStore()
    for second in range(61):
        for code, value in (("200", 2 * second), ("500", second), ("404", 7)):
            store.append(labels_of({"__name__": "requests", "code": code}), second * 1000, float(value))
        store.append(labels_of({"__name__": "restarted"}), second * 1000, float(second % 30))
        for bound, share in (("0.1", 5), ("1", 9), ("+Inf", 10)):
            store.append(
                labels_of({"__name__": "seconds_bucket", "le": bound}), second * 1000, second * share
            )
    store.append(labels_of({"__name__": "old"}), NOW - 299_000 + 1_000, 1.0)
    return Engine(store)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("sum(rate(requests[30s]))", 3.0),
        ('sum(rate(requests{code!~"5.*"}[30s])) / sum(rate(requests[30s])) * 100', 200 / 3),
        ("sum(increase(requests[1m]))", 180.0),
        ("increase(restarted[60s])", 58.0 * 60 / 60 - 0 * 1),
        ("histogram_quantile(0.5, sum by (le) (rate(seconds_bucket[30s])))", 0.1),
        ("histogram_quantile(0.7, sum by (le) (rate(seconds_bucket[30s])))", 0.55),
        ("histogram_quantile(0.99, sum by (le) (rate(seconds_bucket[30s])))", 1.0),
        ("scalar(sum(requests)) > bool 100", 1.0),
        ("count(requests > 50)", 2.0),
        ("max_over_time(restarted[10s] offset 25s)", 29.0),
        ("avg(requests)", (120 + 60 + 7) / 3),
        ("vector(1)", 1.0),
        ("absent(nothing)", 1.0),
        ("1 - -2 ^ 2", 5.0),
    ],
)
def test_values(query: str, value: float) -> None:
    """Queries have the values that they should have."""
    _, result = engine().instant(query, NOW)

    if isinstance(result, list):
        assert len(result) == 1
        result = result[0][1]
    assert result == pytest.approx(value)


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("requests", [{"__name__": "requests", "code": code} for code in ("200", "500", "404")]),
        ("rate(requests[30s])", [{"code": code} for code in ("200", "500", "404")]),
        ("topk(1, requests)", [{"__name__": "requests", "code": "200"}]),
        ("sum by (code) (requests) > 50", [{"code": "200"}, {"code": "500"}]),
        ('absent(nothing{a="b",c!="d"})', [{"a": "b"}]),
        ("sum(nothing)", []),
    ],
)
def test_labels(query: str, labels: list[dict[str, str]]) -> None:
    """Results carry the labels that they should carry."""
    _, result = engine().instant(query, NOW)

    assert isinstance(result, list)
    assert [dict(pairs) for pairs, _ in result] == labels


@pytest.mark.parametrize(
    ("ms", "found"), [(0, True), (1000, True), (300_000, True), (300_001, False), (-1, False)]
)
def test_lookback(ms: int, found: bool) -> None:
    """A sample is seen for five minutes, both ends included, and not before it was taken."""
    store = SeriesStore()
    store.append(labels_of({"__name__": "a"}), 1_000_000, 1.0)

    _, result = Engine(store).instant("a", 1_000_000 + ms)

    assert bool(result) is found


def test_nothing_divided_by_nothing() -> None:
    """Without any request a success rate is NaN, without any series it is empty."""
    requests = engine()

    _, none_lately = requests.instant(
        'sum(rate(requests{code="404"}[30s])) / sum(rate(requests{code="404"}[30s]))', NOW
    )
    _, never = requests.instant("sum(rate(nothing[30s])) / sum(rate(nothing[30s])) * 100", NOW)

    assert isinstance(none_lately, list)
    assert math.isnan(none_lately[0][1])
    assert never == []


def test_range_query() -> None:
    """A range query has a point per step at which there is a value."""
    matrix = engine().range("sum(requests)", -1000, 3000, 1000)

    assert matrix == {(): [(0, 7.0), (1000, 10.0), (2000, 13.0), (3000, 16.0)]}


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        pytest.param("sum(", BadQueryError, "parse error", id="cut off"),
        pytest.param("no_such_function(a)", BadQueryError, "no_such_function", id="unknown function"),
        pytest.param(
            "mad_over_time(a[5m])", UnsupportedError, "mad_over_time", id="function not implemented"
        ),
        pytest.param("limitk(1, a)", UnsupportedError, "limitk", id="aggregation not implemented"),
        pytest.param('a{b="c" or d="e"}', UnsupportedError, "or", id="alternative matchers"),
        pytest.param(r'a{b=~"\\pL"}', UnsupportedError, "regular expression", id="Unicode class"),
        pytest.param("requests + on () requests", ExecutionError, "many-to-many", id="many to many"),
        pytest.param("(" * 5000 + "1" + ")" * 5000, BadQueryError, "brackets", id="nested too deeply"),
        pytest.param("+".join(["1"] * 5000), BadQueryError, "operators", id="too many operators"),
    ],
)
def test_refuses(query: str, error: type[QueryError], words: str) -> None:
    """What cannot be answered is refused with the reason, never answered wrongly."""
    with pytest.raises(error, match=words):
        engine().instant(query, NOW)


def test_gives_up_in_time() -> None:
    """A query that would keep the process busy for long is ended."""
    impatient = Engine(SeriesStore(), Settings(timeout=timedelta(milliseconds=20)))

    with pytest.raises(QueryTimeoutError, match="timed out"):
        impatient.instant("sum_over_time(vector(1)[365d:1s])", NOW)
