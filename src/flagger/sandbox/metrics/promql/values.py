"""What expressions evaluate to."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.promql.errors import ExecutionError
from flagger.sandbox.metrics.series import Window


class ValueKind(Enum):
    """The four types of PromQL, by the names of the HTTP API."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"


Sample = tuple[Labels, float]
"""One element of an instant vector. A plain tuple: queries make thousands of them."""

Vector = list[Sample]

RangeRow = tuple[Labels, Window]
"""One series of a range vector."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range vector and the interval it was selected for."""

    rows: Sequence[RangeRow]
    start: int
    """The beginning of the interval, ms; samples at it belong to the range."""
    end: int

    @property
    def seconds(self) -> float:
        """The length of the interval."""
        return (self.end - self.start) / 1000


Value = float | str | Vector | Range


def distinct(vector: Vector) -> Vector:
    """`vector` itself, after a check that no two elements have the same labels.

    Raises:
        ExecutionError: two have.
    """
    if len(vector) > 1 and len({labels for labels, _ in vector}) != len(vector):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return vector
