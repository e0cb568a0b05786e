r"""Values that are put between quotes stay between them, whatever they hold. Pure.

Query languages write text between quotes, with backslashes as escapes. A value in such a place that holds the quote
itself would end the text and go on as query: `{{ variables.path }}` in a label matcher. It is escaped there. What is a
proper piece of such a text already, such as `api\\.v1` or `a\"b`, stays as it is, and so does everything elsewhere.
"""

import re
from collections.abc import Sequence

from flagger.metrics.gotemplate.errors import MisuseError

VALUE = "\0"
"""Stands for a value where only the template's own quotes matter."""

_DANGEROUS = re.compile(r"[\\\"'`\r\n]")
_BREAKS = {"\n": "\\n", "\r": "\\r"}
_RAW = "`"  # between these nothing is an escape


def contained(before: Sequence[str], value: str) -> str:
    """Return `value` as it is written behind `before`: the template's own text, with VALUE for earlier values.

    Raises:
        MisuseError: it holds the quote that it stands between, and there is no escape for that one.
    """
    if _DANGEROUS.search(value) is None:
        return value
    quote, escaped = _place("".join(before))
    if not quote:
        return value
    if quote == _RAW:
        if _RAW in value:
            raise MisuseError("a value that stands between back quotes holds one")
        return value
    return _escaped(value, quote, escaped=escaped)


def _place(text: str) -> tuple[str, bool]:
    """Return the quote that is open behind `text`, if any, and whether an escape has begun."""
    quote, escaped_at = "", -1
    for sign in _DANGEROUS.finditer(text):
        at, char = sign.start(), sign[0]
        if at == escaped_at:
            continue
        if not quote and char in "\"'`":
            quote = char
        elif quote and char == quote:
            quote = ""
        elif char == "\\" and quote not in ("", _RAW):
            escaped_at = at + 1
    return quote, escaped_at == len(text)


def _escaped(value: str, quote: str, *, escaped: bool) -> str:
    written: list[str] = []
    for char in value:
        if escaped:
            written.append(char)
            escaped = False
        elif char == quote:
            written.append(f"\\{char}")
        else:
            written.append(_BREAKS.get(char, char))
            escaped = char == "\\"
    return "".join(written) + ("\\" if escaped else "")
