"""Resource quantities such as `500m` or `1Gi`: their value, and the one spelling a server stores.

The grammar and the canonical form follow the Kubernetes API reference for `resource.Quantity`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d+)")
_DECIMAL_SUFFIX = {power: suffix for suffix, power in DECIMAL.items()}
_BINARY_SUFFIX = {power: suffix for suffix, power in BINARY.items()}
NANO = 10**9

MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=4096)
def parse(text: str) -> Fraction:
    """Return the exact value.

    Raises:
        ValueError: the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(MALFORMED)
    number, suffix = Fraction(match[1]), match[2]
    if suffix in BINARY:
        return number * Fraction(1024 ** BINARY[suffix])
    power = DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])
    scale = Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)
    return number * scale


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the spelling that is stored: `1000m` becomes `1`, `1024Mi` becomes `1Gi`.

    Raises:
        ValueError: the text is not a quantity.
    """
    value = parse(text)
    suffix = _QUANTITY.fullmatch(text)[2]  # type: ignore[index]  # parse() has refused everything else
    if suffix in BINARY and abs(value) >= 1024:
        return _binary(ceil(value))
    nanos = ceil(abs(value) * NANO) * (-1 if value < 0 else 1)
    if suffix[:1] in {"e", "E"} and suffix != "E":
        mantissa, power = _stripped(nanos, 1000, -9, 3, 10**6)
        return f"{mantissa}e{power}" if power else str(mantissa)
    mantissa, power = _stripped(nanos, 1000, -9, 3, 18)
    return f"{mantissa}{_DECIMAL_SUFFIX[power]}"


def _binary(value: int) -> str:
    mantissa, power = _stripped(value, 1024, 0, 1, 6)
    return f"{mantissa}{_BINARY_SUFFIX.get(power, '')}"


def _stripped(value: int, base: int, power: int, step: int, most: int) -> tuple[int, int]:
    """Move factors of `base` from the value to the power."""
    if not value:
        return 0, 0
    while power < most and value % base == 0:
        value, power = value // base, power + step
    return value, power
