"""The text of a query: a template, the names it may use, and what they stand for in one Canary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from flagger.metrics.gotemplate.errors import TemplateError
from flagger.metrics.gotemplate.evaluator import execute
from flagger.metrics.gotemplate.functions import BUILT_IN, LAZY, Function
from flagger.metrics.gotemplate.nodes import Template, Value
from flagger.metrics.gotemplate.parser import parse

__all__ = ["QueryModel", "TemplateError", "render"]

PARSED = 1024  # templates kept; a Canary has a handful, and most share them


@dataclass(frozen=True, slots=True)
class QueryModel:
    """What the names of a template stand for; each field is a function, written without a dot."""

    name: str = ""
    """Name of the Canary."""
    namespace: str = ""
    """Namespace of the Canary."""
    target: str = ""
    """Name of the target workload."""
    service: str = ""
    """Name of the apex Service."""
    ingress: str = ""
    """Name in `ingressRef`, or the target's."""
    route: str = ""
    """Name in `routeRef`, or the target's; of a Knative target the latest created revision."""
    interval: str = ""
    """Window of the metric as it is written, such as `1m`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """`templateVariables` of the metric, used as `variables.key`."""


NAMES = ("name", "namespace", "target", "service", "ingress", "route", "interval", "variables")
_KNOWN = frozenset(NAMES) | frozenset(BUILT_IN) | LAZY


def render(text: str, model: QueryModel) -> str:
    """Return the query that `text` becomes for one Canary. Nothing is escaped.

    Raises:
        TemplateError: the text is no template, or it uses what the model does not have.
    """
    if "{{" not in text:
        return text
    functions = {name: _constant(getattr(model, name)) for name in NAMES}
    return execute(_parsed(text), {**BUILT_IN, **functions})


@lru_cache(maxsize=PARSED)
def _parsed(text: str) -> Template:
    return parse(text, _KNOWN)


def _constant(value: Value) -> Function:
    return Function(lambda: value, 0, 0)
