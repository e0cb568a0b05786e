"""Regular expressions of PromQL (RE2 syntax) on Python's engine.

The grammar has already been checked by the PromQL parser, whose engine refuses look-around and back
references as RE2 does. What is left are the spellings that mean something else, or nothing, to Python.
"""

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
# The ASCII classes are spelled out, because a flag for them would also limit `(?i)` to ASCII.
_ESCAPES = {
    r"\d": "[0-9]",
    r"\D": "[^0-9]",
    r"\w": "[0-9A-Za-z_]",
    r"\W": "[^0-9A-Za-z_]",
    r"\s": r"[\t\n\f\r ]",
    r"\S": r"[^\t\n\f\r ]",
    r"\z": r"\Z",
}
_IN_CLASS = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\f\r "}
_PIECE = re.compile(
    r"""
      (?P<hex> \\x\{ (?P<code>[0-9A-Fa-f]+) \} )
    | (?P<escape> \\. )
    | (?P<posix> \[:\^? (?:"""
    + "|".join(_POSIX)
    + r""") :\] )
    | (?P<open> \[ \^? \]? )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1024)
def compile_anchored(pattern: str) -> re.Pattern[str]:
    r"""Compile `pattern` for `fullmatch`, the only way PromQL uses expressions.

    Raises:
        re.error: the pattern cannot be expressed in Python's dialect, such as `\pL`.
    """
    return re.compile(_translated(pattern))


def _translated(pattern: str) -> str:
    pieces: list[str] = []
    in_class = False
    for match in _PIECE.finditer(pattern):
        text = match[0]
        if match["code"] is not None:
            pieces.append(re.escape(chr(int(match["code"], 16))))
        elif in_class:
            pieces.append(_class_piece(text))
            in_class = text != "]"
        else:
            in_class = match["open"] is not None
            pieces.append(_piece(text))
    return "".join(pieces)


def _class_piece(text: str) -> str:
    """One piece between the brackets of a character class."""
    if text.startswith("[:^"):
        raise re.error("a negated POSIX class inside a character class is not supported")
    if text.startswith("[:"):
        return _POSIX[text[2:-2]]
    # Python warns of "[", "--", "&&", "||" and "~~", which it may give a meaning one day.
    return "\\" + text if text in "[&|~" else _IN_CLASS.get(text, text)


def _piece(text: str) -> str:
    """One piece outside character classes."""
    return r"\Z" if text == "$" else _ESCAPES.get(text, text)
