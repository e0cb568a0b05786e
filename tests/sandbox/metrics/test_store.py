"""The store finds series by matchers and stays within its limits."""

from datetime import timedelta

import pytest

from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of, value_of
from flagger.sandbox.metrics.promql.engine import selector
from flagger.sandbox.metrics.store import Limits, SeriesStore

MINUTE = 60_000


def filled() -> SeriesStore:
    """Three series of two metrics."""
    store = SeriesStore()
    for labels in ({"__name__": "a", "n": "1"}, {"__name__": "a", "n": "2"}, {"__name__": "b"}):
        store.append(labels_of(labels), 1000, 1.0)
    return store


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ["a1", "a2"]),
        ('a{n="2"}', ["a2"]),
        ('{n=~"1|2",n!="1"}', ["a2"]),
        ('{__name__=~".+",n=""}', ["b"]),
        ("c", []),
    ],
)
def test_select(text: str, found: list[str]) -> None:
    """Selectors find what matches."""
    names = [
        value_of(s.labels, "__name__") + value_of(s.labels, "n") for s in filled().select(selector(text))
    ]
    assert names == found


def test_new_series_are_found() -> None:
    """What was selected before does not hide what came since."""
    store = filled()
    store.select(selector("a"))
    store.append(labels_of({"__name__": "a", "n": "3"}), 2000, 1.0)

    assert len(store.select(selector("a"))) == 3


def test_retention() -> None:
    """Samples are forgotten after the retention time, and ended series with them; living ones stay."""
    store = SeriesStore(Limits(timedelta(minutes=10)))
    alive, ended = (Ingest(store, labels_of({"job": job})) for job in ("alive", "ended"))
    for minute in range(30):
        alive.accept(f"a {minute}\nb 1\n", minute * MINUTE, 0.1)
        if minute < 15:
            ended.accept("a 1\n", minute * MINUTE, 0.1)
    ended.close(15 * MINUTE)

    store.sweep(30 * MINUTE)

    assert {value_of(series.labels, "job") for series in store.select(selector("{job!=''}"))} == {"alive"}
    (series,) = store.select(selector("a"))
    window = series.window(0, 30 * MINUTE)
    assert window is not None
    assert [ms // MINUTE for ms in window.times] == list(range(20, 30))
    assert list(window.values) == list(range(20, 30))


def test_comes_back_after_expiry() -> None:
    """A target that was away for longer than the retention time starts anew."""
    store = SeriesStore(Limits(timedelta(minutes=10)))
    target = Ingest(store, labels_of({"job": "j"}))
    target.accept("a 1\n", 0, 0.1)
    target.fail(MINUTE, 0.1)
    store.sweep(60 * MINUTE)
    target.accept("a 1\n", 61 * MINUTE, 0.1)

    (series,) = store.select(selector("a"))
    assert series.at(61 * MINUTE, MINUTE) == (61 * MINUTE, 1.0)


def test_silence_longer_than_the_retention() -> None:
    """A living target that nobody scraped for long, as on a sleeping laptop, goes on with its series."""
    store = SeriesStore(Limits(timedelta(minutes=10)))
    target = Ingest(store, labels_of({"job": "j"}))
    target.accept("a 1\nb 1\n", 0, 0.1)
    store.sweep(60 * MINUTE)
    target.accept("a 1\nb 2\n", 61 * MINUTE, 0.1)

    for name, value in (("a", 1.0), ("b", 2.0)):
        (series,) = store.select(selector(name))
        assert series.at(61 * MINUTE, MINUTE) == (61 * MINUTE, value)


def test_memory_limit() -> None:
    """When there are more changes than may be kept, the oldest go before their time."""
    store = SeriesStore(Limits(timedelta(minutes=60), runs=500))
    target = Ingest(store, labels_of({"job": "j"}))
    for second in range(1000):
        target.accept(f"a {second}\n", second * 1000, 0.1)

    store.sweep(1_000_000)

    series = store.select(selector('{job="j"}'))
    assert sum(one.runs for one in series) <= 500
    assert store.select(selector("a"))[0].at(1_000_000, 5000) == (999_000, 999.0)
