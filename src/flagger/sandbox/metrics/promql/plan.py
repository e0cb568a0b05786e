"""A query as a tree of frozen nodes: what is left of the parser's tree when everything is checked.

Times and durations are milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from flagger.sandbox.metrics.matchers import Matchers, metric_name_of
from flagger.sandbox.metrics.promql.values import ValueKind


class Edge(Enum):
    """The two times that `@` can name instead of giving one."""

    START = "start()"
    END = "end()"


At = int | Edge | None


@dataclass(frozen=True, slots=True)
class Number:
    """A literal such as `100`."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A literal such as `"(.*)"`."""

    value: str


@dataclass(frozen=True, slots=True)
class Select:
    """The newest sample of each matching series."""

    matchers: Matchers
    offset: int
    at: At

    @property
    def one_metric(self) -> bool:
        """Whether all series have the same metric name, so that dropping it cannot make two alike."""
        return metric_name_of(self.matchers) is not None


@dataclass(frozen=True, slots=True)
class SelectRange:
    """All samples of each matching series in the last `length`."""

    select: Select
    length: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`inner` evaluated at each multiple of `step` in the last `length`."""

    inner: "Node"
    length: int
    step: int | None
    offset: int
    at: At


@dataclass(frozen=True, slots=True)
class Negate:
    """`-inner`."""

    inner: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the function table."""

    function: str
    args: Sequence["Node"]
    returns: ValueKind


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation `by` or `without` some labels."""

    operator: str
    inner: "Node"
    parameter: "Node | None"
    grouping: frozenset[str]
    without: bool


class Cardinality(Enum):
    """How many elements of the left side may meet how many of the right."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Matching:
    """Which elements of two vectors belong together."""

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    on: bool = False
    labels: frozenset[str] = frozenset()
    include: Sequence[str] = ()
    """Labels that the many side takes over from the one side."""


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what is between them."""

    operator: str
    left: "Node"
    right: "Node"
    matching: Matching
    as_bool: bool


Node = Number | Text | Select | SelectRange | Subquery | Negate | Call | Aggregate | Binary


def kind_of(node: Node) -> ValueKind:
    """The type of value that `node` evaluates to."""
    match node:
        case Number():
            return ValueKind.SCALAR
        case Text():
            return ValueKind.STRING
        case SelectRange() | Subquery():
            return ValueKind.MATRIX
        case Select() | Aggregate():
            return ValueKind.VECTOR
        case Negate(inner):
            return kind_of(inner)
        case Call():
            return node.returns
        case Binary():
            both_scalar = kind_of(node.left) is kind_of(node.right) is ValueKind.SCALAR
            return ValueKind.SCALAR if both_scalar else ValueKind.VECTOR
