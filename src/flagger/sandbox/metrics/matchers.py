"""Label matchers: which series a selector means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from flagger.sandbox.metrics.labels import METRIC_NAME
from flagger.sandbox.metrics.regex import compile_anchored


class Match(Enum):
    """The four comparisons of a selector."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison. A label that is not set has the value ""."""

    name: str
    match: Match
    value: str
    accepts: Callable[[str], bool] = field(init=False, compare=False, repr=False)
    """Whether a label value passes.

    Raises (on creation):
        re.error: the regular expression cannot be translated.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "accepts", _test(self.match, self.value))


Matchers = tuple[Matcher, ...]


def metric_name_of(matchers: Matchers) -> str | None:
    """The one metric name that can match, or None if there may be several."""
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.match is Match.EQUAL:
            return matcher.value
    return None


def all_match(matchers: Matchers, labels: Mapping[str, str]) -> bool:
    """Whether `labels` pass every matcher."""
    return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in matchers)


def _test(match: Match, value: str) -> Callable[[str], bool]:
    if match is Match.EQUAL:
        return value.__eq__
    if match is Match.NOT_EQUAL:
        return value.__ne__
    pattern = compile_anchored(value)
    if match is Match.REGEX:
        return lambda text: pattern.fullmatch(text) is not None
    return lambda text: pattern.fullmatch(text) is None
