"""Floats as Prometheus reads and prints them (Go's strconv, and the JSON writer of its HTTP API)."""

import math
import re
from decimal import Decimal

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?i:inf|infinity)|(?i:nan)")


def parse_float(text: str) -> float | None:
    """The number in `text`, or None if it is not one; stricter than `float`, which takes `1_0` and ` 1`."""
    return float(text) if _DECIMAL.fullmatch(text) else None


def format_value(value: float) -> str:
    """A sample value of the HTTP API: shortest digits, an exponent only below 1e-6 and from 1e21 on."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21) and math.isfinite(value):
        return _shortest(value)
    return format_plain(value)


def format_plain(value: float) -> str:
    """The shortest digits that read back as `value`, never with an exponent."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = _shortest(value)
    return format(Decimal(text), "f") if "e" in text else text


def _shortest(value: float) -> str:
    return repr(value).removesuffix(".0")
