"""Go's literals: numbers, characters, quoted and raw strings (Go language specification)."""

import re

from flagger.metrics.gotemplate.errors import MisuseError

_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9]+)?"
)
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F_]+\.?[0-9a-fA-F_]*|\.[0-9a-fA-F_]+)[pP][+-]?[0-9]+")
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})"
    r"|(?P<plain>.))|(?P<other>[^\\]+)",
    re.DOTALL,
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_INT64 = 2**63


def number(text: str) -> int | float:
    """Return the value of a number: an integer unless it is written with a point or an exponent.

    Raises:
        MisuseError: not a number, complex, or an integer that does not fit 64 bits.
    """
    if _INTEGER.fullmatch(text):
        value = _integer(text)
        if not -_INT64 <= value < _INT64:
            raise MisuseError(f"the integer {text} is too large")
        return value
    if _HEX_FLOAT.fullmatch(text):
        return _finite(float.fromhex(text.replace("_", "")), text)
    if _DECIMAL.fullmatch(text) and any(mark in text for mark in ".eE"):
        return _finite(float(text.replace("_", "")), text)
    if text.endswith("i"):
        raise MisuseError(f"complex numbers such as {text} are not supported")
    raise MisuseError(f"{text} is not a number")


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    old_octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_"
    value = int(digits.replace("_", ""), 8) if old_octal else int(digits, 0)
    return -value if text.startswith("-") else value


def _finite(value: float, text: str) -> float:
    if value in (float("inf"), float("-inf")):
        raise MisuseError(f"the number {text} is too large")
    return value


def character(text: str) -> int:
    """Return the code point of `'x'`.

    Raises:
        MisuseError: not exactly one character, or an unknown escape.
    """
    unescaped = _unescape(text[1:-1], quote="'")
    if len(unescaped) != 1:
        raise MisuseError(f"{text} is not one character")
    return ord(unescaped)


def string(text: str) -> str:
    """Return the text of a quoted or raw string.

    Raises:
        MisuseError: an unknown escape, or bytes that are not UTF-8.
    """
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    return _unescape(text[1:-1], quote='"') if "\\" in text else text[1:-1]


def _unescape(text: str, *, quote: str) -> str:
    parts = bytearray()
    for match in _ESCAPE.finditer(text):
        parts += _unescaped(match, quote)
    try:
        return parts.decode()
    except UnicodeDecodeError:
        raise MisuseError(f"{quote}{text}{quote} is not valid UTF-8") from None


def _unescaped(match: re.Match[str], quote: str) -> bytes:
    if match["other"] is not None:
        return match["other"].encode()
    if match["octal"] or match["byte"]:
        value = int(match["octal"], 8) if match["octal"] else int(match["byte"], 16)
        # In a string these are bytes, in a character constant they are a code point.
        if value < 256:
            return chr(value).encode() if quote == "'" else bytes([value])
    elif digits := match["short"] or match["long"]:
        value = int(digits, 16)
        if value < 0x110000 and not 0xD800 <= value < 0xE000:
            return chr(value).encode()
    elif match["plain"] in _PLAIN or match["plain"] == quote:
        return _PLAIN.get(match["plain"], quote).encode()
    raise MisuseError(f"unknown escape {match[0]}")
