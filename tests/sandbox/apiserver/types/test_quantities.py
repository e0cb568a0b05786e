"""Quantities: their value, and their one spelling."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.sandbox.apiserver.types.quantities import BINARY, DECIMAL, canonical, parse

SPELLINGS = [
    ("0", "0"),
    ("1", "1"),
    ("0.5", "500m"),
    (".5", "500m"),
    ("1000m", "1"),
    ("1500m", "1500m"),
    ("1000", "1k"),
    ("1k", "1k"),
    ("1024Mi", "1Gi"),
    ("1.5Gi", "1536Mi"),
    ("2000Mi", "2000Mi"),
    ("512Ki", "512Ki"),
    ("0.5Ki", "512"),
    ("1e3", "1e3"),
    ("12E", "12E"),
    ("-1", "-1"),
    ("0.0000000001", "1n"),
]


@pytest.mark.parametrize(("written", "stored"), SPELLINGS)
def test_spelling(written: str, stored: str) -> None:
    """Every amount has one spelling, which is stored."""
    assert canonical(written) == stored


@pytest.mark.parametrize("text", ["", "much", "1.2.3", "1 Gi", "Gi", "1KB", "0x10", "1e", "--1"])
def test_what_is_no_quantity(text: str) -> None:
    """Other texts are refused."""
    with pytest.raises(ValueError, match="quantities must match"):
        parse(text)


@given(st.integers(-(10**6), 10**6), st.sampled_from([*DECIMAL, *BINARY]))
def test_the_spelling_keeps_the_value(number: int, suffix: str) -> None:
    """The canonical form is worth the same (to a billionth, rounded away from zero) and is its own form."""
    text = f"{number}{suffix}"

    again = canonical(text)

    assert abs(parse(again) - parse(text)) < Fraction(1, 10**9)
    assert canonical(again) == again
