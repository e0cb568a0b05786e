"""The text formats that targets expose: Prometheus 0.0.4 and the basics of OpenMetrics 1.0.

Only samples are read; help, type and unit lines are comments here, and exemplars are ignored. What Prometheus
refuses of 0.0.4 is refused here too; of OpenMetrics' stricter spacing rules some are not enforced.
Format: https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0 §ABNF.
"""

import re
from dataclasses import dataclass
from enum import Enum

from flagger.sandbox.metrics.labels import METRIC_NAME
from flagger.sandbox.metrics.numbers import parse_float


class Dialect(Enum):
    """Which of the two formats a body is in."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"

    @classmethod
    def of(cls, content_type: str) -> "Dialect":
        """The dialect that a Content-Type header names; anything unknown is taken for plain text."""
        return cls.OPENMETRICS if cls.OPENMETRICS.value in content_type else cls.TEXT


class ExpositionError(Exception):
    """A body that does not follow the format; says which line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of an exposition."""

    labels: dict[str, str]
    """With the metric name as `__name__`."""
    value: float
    ms: int | None
    """The time that the target gave to the sample, if it gave one."""


_NAME, _TEXT = r"[a-zA-Z_][a-zA-Z0-9_]*+", r'(?:[^"\\]|\\.)*+'
_PAIR = re.compile(rf'({_NAME})[ \t]*=[ \t]*"({_TEXT})"', re.DOTALL)
# Possessive quantifiers, so that "a1" is a name without a value and a bad line is refused in linear time.
_LINE = re.compile(
    rf"""
    (?P<name> [a-zA-Z_:][a-zA-Z0-9_:]*+ ) [ \t]*+
    (?: \{{ [ \t]*+ (?P<labels> (?: {_NAME} [ \t]*+ = [ \t]*+ "{_TEXT}" [ \t]*+ ,? [ \t]*+ )*+ ) \}} )?
    [ \t]*+ (?P<value> [^ \t{{]++ )
    (?: [ \t]++ (?P<time> [^ \t\#]++ ) )? [ \t]*+
    (?P<exemplar> \# [ \t]*+ \{{ .* )?
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r'\\([\\"n])')
END = "# EOF"


def parse_line(line: str, dialect: Dialect) -> Sample | None:
    """The sample in one line, or None for a comment or an empty line.

    Raises:
        ExpositionError: the line is neither.
    """
    if not line.strip(" \t\r") or line.lstrip(" \t").startswith("#"):
        return None
    match = _LINE.fullmatch(line)
    value = parse_float(match["value"]) if match else None
    if match is None or value is None:
        raise ExpositionError(f"not a sample: {line[:120]!r}")
    if match["exemplar"] and dialect is Dialect.TEXT:
        raise ExpositionError(f"an exemplar outside OpenMetrics: {line[:120]!r}")
    pairs = _PAIR.findall(match["labels"] or "")
    labels = {METRIC_NAME: match["name"]} | {name: _unescaped(text) for name, text in pairs}
    if len(labels) != len(pairs) + 1:
        raise ExpositionError(f"a label appears twice: {line[:120]!r}")
    return Sample(labels, value, _milliseconds(match["time"], dialect))


def check_end(body: str, dialect: Dialect) -> None:
    """OpenMetrics bodies end with a marker, so that a cut connection is noticed.

    Raises:
        ExpositionError: the marker is missing.
    """
    if dialect is Dialect.OPENMETRICS and not body.rstrip("\n").endswith(END):
        raise ExpositionError(f"the body does not end with {END!r}")


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)


def _milliseconds(text: str | None, dialect: Dialect) -> int | None:
    if text is None:
        return None
    if dialect is Dialect.OPENMETRICS:
        seconds = parse_float(text)
        if seconds is not None and abs(seconds) < 1e13:
            return int(seconds * 1000)
    elif re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    raise ExpositionError(f"not a timestamp: {text[:40]!r}")
