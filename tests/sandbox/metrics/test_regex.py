"""Expressions in RE2's syntax mean the same on Python's engine."""

import re

import pytest

from flagger.sandbox.metrics.regex import compile_anchored


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("5.*", ["500", "5"], ["1500", ""]),
        ("a|b", ["a", "b"], ["ab", "xa"]),
        ("a$|^b$", ["a", "b"], ["a\n"]),
        (r"\d+", ["12"], ["١", "x"]),
        (r"\w", ["a", "_"], ["ü", "-"]),
        (r"\W", ["ü", "-"], ["a"]),
        (r"[\d_]+", ["1_2"], ["a"]),
        (r"\s", [" ", "\t"], ["\v", "\u00a0"]),
        ("[[:alpha:]][^[:digit:]]", ["ab", "a-"], ["a1", "1a"]),
        ("[]a]+", ["]a"], ["b"]),
        ("[^]a]", ["b"], ["]"]),
        ("[[a]", ["[", "a"], ["]"]),
        (r"\x{41}\.", ["A."], ["Ax"]),
        ("(?i)Ä", ["ä"], ["a"]),
        (r"a\z", ["a"], ["a\n"]),
        ("a.c", ["abc"], ["a\nc"]),
        ("", [""], ["a"]),
    ],
)
def test_meaning(pattern: str, matching: list[str], others: list[str]) -> None:
    """The whole text has to match, ASCII classes are ASCII, `$` is the very end."""
    compiled = compile_anchored(pattern)

    assert [text for text in matching + others if compiled.fullmatch(text)] == matching


@pytest.mark.parametrize("pattern", [r"\pL", r"[[:^digit:]]", r"\Qa\E"])
def test_refuses(pattern: str) -> None:
    """What Python cannot express is an error, not another meaning."""
    with pytest.raises(re.error):
        compile_anchored(pattern)
