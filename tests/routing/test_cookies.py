"""The texts of session cookies."""

from __future__ import annotations

import re

import pytest

from flagger.routing.cookies import cookie_pattern


@pytest.mark.parametrize("name", ["pin", "my.pin", "a|b", "$*+^"])
def test_a_pattern_finds_its_cookie_alone(name: str) -> None:
    """A name is no pattern: only clients that hold the cookie of this run match."""
    pattern = cookie_pattern(f"{name}=abcdefghij")

    assert re.fullmatch(pattern, f"x=1; {name}=abcdefghij; y=2")
    assert not re.fullmatch(pattern, f"{name}=0000000000; x=a; y=b")
    assert not re.fullmatch(pattern, "x=abcdefghij; y=b; z=a")
