"""The text formats are read as Prometheus reads them."""

import math

import pytest

from flagger.sandbox.metrics.exposition import Dialect, ExpositionError, Sample, check_end, parse_line

GOOD = [
    ("a 1", {"__name__": "a"}, 1.0, None),
    ("a:b_c9\t1", {"__name__": "a:b_c9"}, 1.0, None),
    ('a{b="c"} 2.5', {"__name__": "a", "b": "c"}, 2.5, None),
    ('a{b="c",} 2', {"__name__": "a", "b": "c"}, 2.0, None),
    ('a { b = "c" , d="e" }  3 ', {"__name__": "a", "b": "c", "d": "e"}, 3.0, None),
    ("a{} 1", {"__name__": "a"}, 1.0, None),
    ('a{b="}"} 1', {"__name__": "a", "b": "}"}, 1.0, None),
    (r'a{b="x\"y\\z\nw\q"} 1', {"__name__": "a", "b": 'x"y\\z\nw\\q'}, 1.0, None),
    ('a{b="ü 1"} 1', {"__name__": "a", "b": "ü 1"}, 1.0, None),
    ('a{b=""} 1', {"__name__": "a", "b": ""}, 1.0, None),
    ("a +Inf", {"__name__": "a"}, math.inf, None),
    ("a -inf", {"__name__": "a"}, -math.inf, None),
    ("a 1e-3", {"__name__": "a"}, 0.001, None),
    ("a .5", {"__name__": "a"}, 0.5, None),
    ("a 1 1700000000123", {"__name__": "a"}, 1.0, 1700000000123),
    ('a{b="c"} 1 -5', {"__name__": "a", "b": "c"}, 1.0, -5),
]


@pytest.mark.parametrize(("line", "labels", "value", "ms"), GOOD, ids=[case[0] for case in GOOD])
def test_samples(line: str, labels: dict[str, str], value: float, ms: int | None) -> None:
    """A line of format 0.0.4 is a sample with its labels, value and time."""
    assert parse_line(line, Dialect.TEXT) == Sample(labels, value, ms)


@pytest.mark.parametrize("line", ["", "  ", "# HELP a b", "#", "  # TYPE a counter", "# EOF"])
def test_comments(line: str) -> None:
    """Comments and empty lines say nothing."""
    assert parse_line(line, Dialect.TEXT) is None


def test_nan() -> None:
    """NaN is a value."""
    sample = parse_line("a NaN", Dialect.TEXT)
    assert sample is not None
    assert math.isnan(sample.value)


BAD = """
a
 a 1
a{x="1",x="2"} 1
a1
1a 1
a b
a 1 2 3
a 1 x
a 1 2.5
a 1_0
a 0x10
a{b="c} 1
a{b=c} 1
a{b} 1
a{1="b"} 1
a{,} 1
{b="c"} 1
a{b="c" 1
a{b="c"} 1 # {t="1"} 5
é 1
"""


@pytest.mark.parametrize("line", [*BAD.strip("\n").splitlines(), "a 1\r"])
def test_refuses(line: str) -> None:
    """What Prometheus refuses is refused here, because it would count as down there."""
    with pytest.raises(ExpositionError):
        parse_line(line, Dialect.TEXT)


@pytest.mark.parametrize(
    ("line", "value", "ms"),
    [
        pytest.param("a_total 1", 1.0, None, id="plain"),
        pytest.param("a_total 1 1700000000.1239", 1.0, 1700000000123, id="seconds"),
        pytest.param('a_bucket{le="1"} 7 # {trace_id="x y"} 0.5 1700000000.1', 7.0, None, id="exemplar"),
        pytest.param('a_bucket{le="1"} 7 5 # {} 0.5', 7.0, 5000, id="exemplar behind a time"),
    ],
)
def test_openmetrics(line: str, value: float, ms: int | None) -> None:
    """OpenMetrics has times in seconds, and exemplars, which are left aside."""
    sample = parse_line(line, Dialect.OPENMETRICS)
    assert sample is not None
    assert (sample.value, sample.ms) == (value, ms)


def test_openmetrics_ends_with_a_marker() -> None:
    """A body that was cut off is not taken for a whole one."""
    check_end("a 1\n# EOF\n", Dialect.OPENMETRICS)
    check_end("a 1\n", Dialect.TEXT)
    with pytest.raises(ExpositionError, match="EOF"):
        check_end("a 1\n", Dialect.OPENMETRICS)


@pytest.mark.parametrize(
    ("content_type", "dialect"),
    [
        ("text/plain; version=0.0.4", Dialect.TEXT),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Dialect.OPENMETRICS),
        ("text/html", Dialect.TEXT),
        ("", Dialect.TEXT),
    ],
)
def test_dialect(content_type: str, dialect: Dialect) -> None:
    """The Content-Type tells the format."""
    assert Dialect.of(content_type) is dialect
