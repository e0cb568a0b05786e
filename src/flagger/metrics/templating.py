"""The text of a query: a template, the names it may use, and what they stand for in one Canary."""

from functools import lru_cache

from flagger.api.canary import QueryModel
from flagger.metrics.gotemplate.errors import TemplateError
from flagger.metrics.gotemplate.evaluator import execute
from flagger.metrics.gotemplate.functions import BUILT_IN, LAZY, Function
from flagger.metrics.gotemplate.nodes import Template, Value
from flagger.metrics.gotemplate.parser import parse

__all__ = ["TemplateError", "render"]

PARSED = 1024  # templates kept; a Canary has a handful, and most share them

NAMES = ("name", "namespace", "target", "service", "ingress", "route", "interval", "variables")
"""Fields of the model; each is a function of the language, written without a dot."""

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
