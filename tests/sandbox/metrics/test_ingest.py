"""Expositions become series, and what disappears becomes stale."""

from dataclasses import dataclass, field

import pytest

from flagger.sandbox.metrics.exposition import Dialect, ExpositionError
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.promql.engine import Engine
from flagger.sandbox.metrics.store import Limits, SeriesStore, StoreFullError

TARGET = labels_of({"job": "j", "instance": "i"})
EXPOSED = '{job="j",__name__!~"up|scrape_.*"}'


@dataclass(slots=True)
class Scraped:
    """A store with one target; scrape number n happens at second n."""

    store: SeriesStore = field(default_factory=SeriesStore)
    ingest: Ingest = field(init=False)
    second: int = 0

    def __post_init__(self) -> None:
        self.ingest = Ingest(self.store, TARGET)

    def scrape(self, body: str, dialect: Dialect = Dialect.TEXT) -> "Scraped":
        """The next scrape gives `body`."""
        self.second += 1
        self.ingest.accept(body, self.second * 1000, 0.5, dialect)
        return self

    def fail(self) -> "Scraped":
        """The next scrape gives nothing."""
        self.second += 1
        self.ingest.fail(self.second * 1000, 0.5)
        return self

    def query(self, text: str) -> dict[str, float]:
        """The values now, by the labels that are not the target's."""
        _, vector = Engine(self.store).instant(text, self.second * 1000)
        assert isinstance(vector, list)
        return {
            ",".join(f"{name}={value}" for name, value in labels if (name, value) not in TARGET): value
            for labels, value in vector
        }


def test_labels_and_report() -> None:
    """Series carry the target's labels; the scrape itself is reported."""
    scraped = Scraped().scrape('a{b="c"} 1\na{b="d"} 2\n')

    assert scraped.query('a{job="j",instance="i"}') == {"__name__=a,b=c": 1.0, "__name__=a,b=d": 2.0}
    assert scraped.query('{__name__=~"up|scrape_.*"}') == {
        "__name__=up": 1.0,
        "__name__=scrape_duration_seconds": 0.5,
        "__name__=scrape_samples_scraped": 2.0,
        "__name__=scrape_samples_post_metric_relabeling": 2.0,
        "__name__=scrape_series_added": 2.0,
    }


def test_follows_values() -> None:
    """Changed and unchanged values are samples of each scrape."""
    scraped = Scraped()
    for value in (1, 1, 2, 2, 5):
        scraped.scrape(f"a {value}\nb 7\n")

    assert scraped.query("count_over_time(a[10s])") == {"": 5.0}
    assert scraped.query("sum_over_time(a[10s])") == {"": 11.0}
    assert scraped.query("sum_over_time(b[10s])") == {"": 35.0}
    assert scraped.query("scrape_samples_scraped") == {"__name__=scrape_samples_scraped": 2.0}


def test_vanished_series_are_stale_at_once() -> None:
    """A series that is not exposed any more has no value, and may come back."""
    scraped = Scraped().scrape("a 1\nb 1\n").scrape("b 1\n")
    assert scraped.query(EXPOSED) == {"__name__=b": 1.0}

    scraped.scrape("a 1\nb 2\n")
    assert scraped.query(EXPOSED) == {"__name__=a": 1.0, "__name__=b": 2.0}
    assert scraped.query("count_over_time(a[10s])") == {"": 2.0}


def test_failed_scrape() -> None:
    """A target that is down has `up` 0 and no other values; it recovers with the next scrape."""
    scraped = Scraped().scrape("a 1\n").fail()
    assert scraped.query("up") == {"__name__=up": 0.0}
    assert scraped.query("a") == {}

    scraped.scrape("a 1\n")
    assert scraped.query("up") == {"__name__=up": 1.0}
    assert scraped.query("a") == {"__name__=a": 1.0}


@pytest.mark.parametrize(
    ("body", "dialect"),
    [("a 2\nb\n", Dialect.TEXT), ("a 2\nb 1\n", Dialect.OPENMETRICS)],
    ids=["bad line", "no end"],
)
def test_bad_body(body: str, dialect: Dialect) -> None:
    """Of a body with a mistake nothing is stored, and the target is down."""
    scraped = Scraped().scrape("a 1\n")

    with pytest.raises(ExpositionError):
        scraped.scrape(body, dialect)

    assert scraped.query("up") == {"__name__=up": 0.0}
    assert scraped.query("max_over_time(a[1m])") == {"": 1.0}


def test_gone_target() -> None:
    """All series of a target that is not there any more end."""
    scraped = Scraped().scrape("a 1\n")
    scraped.ingest.close(1500)
    scraped.second = 2

    assert scraped.query("{job='j'}") == {}


def test_conflicting_labels() -> None:
    """The target's labels win; what was exposed is kept under another name."""
    scraped = Scraped().scrape('a{job="mine",x="y"} 1\n')

    assert scraped.query("a{job='j'}") == {"__name__=a,exported_job=mine,x=y": 1.0}


def test_empty_labels_do_not_count() -> None:
    """A label without a value is no label."""
    assert Scraped().scrape('a{b="",c="d"} 1\n').query("a") == {"__name__=a,c=d": 1.0}


def test_exposed_twice() -> None:
    """The first of two lines for one series counts."""
    assert Scraped().scrape('a{x="1",y="2"} 1\na{y="2",x="1"} 2\n').query("a") == {"__name__=a,x=1,y=2": 1.0}


def test_spelled_anew() -> None:
    """A series whose line is written in another way goes on."""
    scraped = (
        Scraped().scrape('a{x="1",y="2"} 1\n').scrape('a{y="2", x="1"} 1\n').scrape('a{y="2", x="1"} 3\n')
    )

    assert scraped.query("a") == {"__name__=a,x=1,y=2": 3.0}
    assert scraped.query("count_over_time(a[10s])") == {"x=1,y=2": 3.0}


def test_timestamps_of_the_target() -> None:
    """A sample with a time of its own has that time, and is not stale by disappearing."""
    scraped = Scraped()
    scraped.second = 100
    scraped.scrape("a 1 90000\nb 1\n").scrape("a 1 90000\nb 1\n").scrape("a 2 95000\nb 1\n").scrape("b 1\n")

    assert scraped.query("a") == {"__name__=a": 2.0}
    assert scraped.query("timestamp(a)") == {"": 95.0}
    assert scraped.query("count_over_time(a[1m])") == {"": 2.0}


def test_exemplars_change_nothing() -> None:
    """A counter with exemplars is a counter."""
    scraped = Scraped()
    for value in (1, 2, 2):
        scraped.scrape(f'a_total {value} # {{t="{value}"}} 1 5\n# EOF\n', Dialect.OPENMETRICS)

    assert scraped.query("a_total") == {"__name__=a_total": 2.0}
    assert scraped.query("count_over_time(a_total[10s])") == {"": 3.0}
    assert scraped.query("a_total offset 2s") == {"__name__=a_total": 1.0}


def test_two_scrapes_at_one_time() -> None:
    """A clock that stands still or goes back does not lose a scrape."""
    scraped = Scraped().scrape("a 1\n")
    scraped.second = 0
    scraped.scrape("a 2\n")
    scraped.second = 2

    assert scraped.query("a") == {"__name__=a": 2.0}


def test_too_many_series() -> None:
    """A target that would exceed the limit is refused as a whole; the others go on."""
    scraped = Scraped(SeriesStore(Limits(series=10))).scrape("a 1\n")
    flood = "".join(f'a{{n="{n}"}} 1\n' for n in range(20))

    with pytest.raises(StoreFullError, match="limit of 10"):
        scraped.scrape(flood)

    assert scraped.query("up") == {"__name__=up": 0.0}
    assert len(scraped.store) <= 10
    assert scraped.scrape("a 1\n").query("a") == {"__name__=a": 1.0}
