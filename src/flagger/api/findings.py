"""What a check of an object can find, and the small questions that several checks ask."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from urllib.parse import urlsplit

from flagger.api.analysis import Analysis
from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.quantities import parse_duration


class Severity(Enum):
    """What a finding means for the object."""

    ERROR = "error"
    """Nothing is done for the object until it is fixed."""
    WARNING = "warning"
    """Said once; work goes on with a safe reading of the field."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an object."""

    severity: Severity
    error: FieldError

    @property
    def is_error(self) -> bool:
        """Say whether the object has to wait."""
        return self.severity is Severity.ERROR


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Case:
    """A Canary to judge, with what the operator's own settings say about it."""

    canary: Canary
    provider: str
    """The provider that counts: the Canary's own, else the operator's."""
    cross_namespace: bool
    """Whether objects of other namespaces may be referred to."""

    @property
    def analysis(self) -> Analysis:
        """Return the analysis as the provider runs it."""
        return self.canary.spec.analysis.on(self.provider)

    @property
    def on_gateway_api(self) -> bool:
        """Say whether HTTPRoutes are generated."""
        return self.provider.startswith("gatewayapi:")


def error(field: str, problem: str, fix: str) -> Finding:
    """Return a finding that stops the object."""
    return Finding(Severity.ERROR, FieldError(field, problem, fix))


def warning(field: str, problem: str, fix: str) -> Finding:
    """Return a finding that is said once."""
    return Finding(Severity.WARNING, FieldError(field, problem, fix))


def duration_problem(text: str) -> str | None:
    """Return what is wrong with a duration that has to be positive, or None."""
    try:
        length = parse_duration(text)
    except ValueError as problem:
        return str(problem)
    return None if length > timedelta() else f"{text!r} is not longer than zero"


def url_problem(text: str, schemes: tuple[str, ...] = ("http", "https")) -> str | None:
    """Return what is wrong with an absolute URL, or None. It is not repeated: a URL can hold a secret."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "has no valid host and port"
    if parts.scheme not in schemes:
        return f"does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if any(sign.isspace() for sign in text):
        return "contains white space"
    return None if parts.hostname and port != 0 else "has no valid host and port"
