"""What a function may ask while it is evaluated."""

from collections.abc import Sequence
from typing import Protocol

from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.promql.plan import Node, Select
from flagger.sandbox.metrics.promql.values import Range, Vector


class Moment(Protocol):
    """The evaluation of a query at one instant."""

    @property
    def now(self) -> int:
        """The instant, ms since the epoch."""

    def scalar(self, node: Node) -> float:
        """The value of a scalar expression."""

    def text(self, node: Node) -> str:
        """The value of a string expression."""

    def vector(self, node: Node) -> Vector:
        """The value of an instant vector expression."""

    def range(self, node: Node, *, named: bool = False) -> Range:
        """The value of a range vector expression; rows keep their metric name if `named`."""

    def timed(self, select: Select) -> Sequence[tuple[Labels, int, float]]:
        """The selected samples with the time (ms) at which each was taken."""
