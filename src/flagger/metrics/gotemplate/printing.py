"""Go's fmt: how values are printed and what `printf` makes of them (package fmt of the Go library).

A verb that does not fit its argument, a missing and a left-over argument are errors here; Go would print
`%!d(string=x)`, which no query means. Infinity and NaN cannot be written, so they do not occur.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flagger.api.quantities import format_number
from flagger.metrics.gotemplate.errors import MisuseError
from flagger.metrics.gotemplate.nodes import Value

LIMIT = 1024 * 1024
"""Characters a rendered text or any string on the way may have."""

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]+)?(?P<precision>\.(?:\*|[0-9]*))?(?P<verb>.)?", re.DOTALL
)
_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
}


@dataclass(frozen=True, slots=True)
class _Format:
    """One directive of a format string, with its width and precision known."""

    verb: str
    flags: str
    width: int
    precision: int | None

    def pad(self, text: str) -> str:
        if "-" in self.flags:
            return text.ljust(self.width)
        return text.rjust(self.width)

    def pad_number(self, text: str) -> str:
        """Pad with zeros behind the sign when the flag asks for it."""
        if "0" in self.flags and "-" not in self.flags:
            return text.zfill(self.width)
        return self.pad(text)

    def sign(self, negative: bool) -> str:
        if negative:
            return "-"
        return "+" if "+" in self.flags else " " if " " in self.flags else ""


def type_name(value: Value) -> str:
    """Return what Go calls the type of `value`."""
    match value:
        case None:
            return "nil"
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "float64"
        case _:
            return "map[string]string"


def plain(value: Value, *, missing: str = "<nil>") -> str:
    """Return `value` as `%v` prints it."""
    match value:
        case None:
            return missing
        case bool():
            return str(value).lower()
        case str():
            return value
        case int():
            return str(value)
        case float():
            return format_number(value)
        case _:
            return "map[" + " ".join(f"{key}:{value[key]}" for key in sorted(value)) + "]"


def joined(pieces: Iterable[str]) -> str:
    """Join texts within the limit.

    Raises:
        MisuseError: the result would be too long.
    """
    parts: list[str] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > LIMIT:
            raise MisuseError(f"the text is longer than {LIMIT} characters")
    return "".join(parts)


def sprint(values: Sequence[Value]) -> str:
    """Print values one after the other, with a space between two that are no strings."""
    pieces: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            pieces.append(" ")
        pieces.append(plain(value))
    return joined(pieces)


def sprintln(values: Sequence[Value]) -> str:
    """Print values with spaces between them and a line break behind them."""
    return joined([" ".join(plain(value) for value in values), "\n"])


def sprintf(template: str, values: Sequence[Value]) -> str:
    """Print by a format string.

    Raises:
        MisuseError: the format string does not fit the values, or the result is too long.
    """
    queue = list(reversed(values))
    text = joined(_formatted(template, queue))
    if queue:
        raise MisuseError(f"printf: {len(queue)} more arguments than the format {quoted(template)} uses")
    return text


def _formatted(template: str, queue: list[Value]) -> Iterable[str]:
    position = 0
    for match in _DIRECTIVE.finditer(template):
        yield template[position : match.start()]
        position = match.end()
        verb = match["verb"]
        if verb is None or verb == "[":
            raise MisuseError(f"printf: {match[0]} is not a format this language knows")
        if verb == "%":
            yield "%"
            continue
        width, flags = _measure(match["width"] or "0", queue), match["flags"]
        if width < 0:
            width, flags = -width, flags + "-"
        precision = _measure(match["precision"][1:] or "0", queue) if match["precision"] else None
        yield _directive(_Format(verb, flags, width, precision), _taken(queue, match[0]))
    yield template[position:]


def _measure(text: str, queue: list[Value]) -> int:
    """Return a width or precision: digits, or `*` for the next argument."""
    value = _taken(queue, "*") if text == "*" else int(text)
    if not isinstance(value, int) or abs(value) > LIMIT:
        raise MisuseError(f"printf: {plain(value)} is not a width or precision")
    return value


def _taken(queue: list[Value], directive: str) -> Value:
    if not queue:
        raise MisuseError(f"printf: an argument is missing for {directive}")
    return queue.pop()


def _directive(wanted: _Format, value: Value) -> str:
    text: str | None
    if wanted.verb == "T":
        return wanted.pad("<nil>" if value is None else type_name(value))
    if wanted.verb == "v" and "#" in wanted.flags:
        raise MisuseError("printf: %#v is not supported")
    match value:
        case None:
            text = wanted.pad("<nil>") if wanted.verb == "v" else None
        case bool():
            text = wanted.pad(plain(value)) if wanted.verb in "vt" else None
        case str():
            text = _text(wanted, value)
        case int():
            text = _integer(wanted, value)
        case float():
            text = _float(wanted, value)
        case _:
            text = _mapping(wanted, value)
    if text is None:
        raise MisuseError(
            f"printf: %{wanted.verb} does not fit {quoted(plain(value))} of type {type_name(value)}"
        )
    return text


def _mapping(wanted: _Format, value: Mapping[str, str]) -> str | None:
    parts = [(_text(wanted, key), _text(wanted, value[key])) for key in sorted(value)]
    if any(key is None or item is None for key, item in parts):
        return None
    return "map[" + " ".join(f"{key}:{item}" for key, item in parts) + "]"


def _text(wanted: _Format, value: str) -> str | None:
    cut = value if wanted.precision is None else value[: wanted.precision]
    match wanted.verb:
        case "v" | "s":
            return wanted.pad(cut)
        case "q":
            raw = "#" in wanted.flags and "`" not in cut and all(c == "\t" or c.isprintable() for c in cut)
            return wanted.pad(f"`{cut}`" if raw else quoted(cut, ascii_only="+" in wanted.flags))
        case "x" | "X":
            return wanted.pad(_hexadecimal(wanted, value))
    return None


def _hexadecimal(wanted: _Format, value: str) -> str:
    data = value.encode()[: wanted.precision]
    prefix = "0x" if "#" in wanted.flags and data else ""
    digits = data.hex(f" {prefix}"[0]) if " " in wanted.flags and data else data.hex()
    text = prefix + (digits.replace(" ", f" {prefix}") if " " in wanted.flags else digits)
    return text.upper() if wanted.verb == "X" else text


_BASES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}


def _integer(wanted: _Format, value: int) -> str | None:
    match wanted.verb:
        case "c":
            return wanted.pad(_rune(value))
        case "q":
            return wanted.pad(
                "'" + quoted(_rune(value), quote="'", ascii_only="+" in wanted.flags)[1:-1] + "'"
            )
        case "U":
            return wanted.pad(f"U+{value:04X}" + (f" '{_rune(value)}'" if "#" in wanted.flags else ""))
    base = _BASES.get(wanted.verb)
    if base is None:
        return None
    digits = format(abs(value), base)
    if wanted.precision is not None:
        digits = "" if wanted.precision == 0 == value else digits.zfill(wanted.precision)
    prefix = "0o" if wanted.verb == "O" else _PREFIXES.get(wanted.verb, "") if "#" in wanted.flags else ""
    sign = (
        wanted.sign(value < 0)
        if wanted.verb != "v" or "+" not in wanted.flags
        else wanted.sign(value < 0).strip("+")
    )
    if wanted.precision is not None:
        return wanted.pad(sign + prefix + digits)
    if "0" in wanted.flags and "-" not in wanted.flags:
        digits = digits.zfill(wanted.width - len(sign))
    return wanted.pad(sign + prefix + digits)


def _rune(value: int) -> str:
    return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _float(wanted: _Format, value: float) -> str | None:
    if wanted.verb not in "veEfFgG" or "#" in wanted.flags:
        return None
    if wanted.verb in "vgG" and wanted.precision is None:
        text = format_number(abs(value))
    else:
        letter = "g" if wanted.verb == "v" else wanted.verb
        text = format(abs(value), f".{6 if wanted.precision is None else wanted.precision}{letter}")
    if wanted.verb in "EG":
        text = text.replace("e", "E")
    sign = wanted.sign(value < 0 or (value == 0 and str(value).startswith("-")))
    return wanted.pad_number(sign + text)


def quoted(text: str, *, quote: str = '"', ascii_only: bool = False) -> str:
    """Return `text` as a Go string literal."""
    return quote + "".join(_escaped(char, quote, ascii_only) for char in text) + quote


def _escaped(char: str, quote: str, ascii_only: bool) -> str:
    if char == quote:
        return f"\\{char}"
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if char.isprintable() and not (ascii_only and code > 0x7F):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
