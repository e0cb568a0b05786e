"""How fast the queries of metrics are parsed and rendered."""

from __future__ import annotations

import timeit

from bench.figures import Figure
from flagger.api.canary import QueryModel
from flagger.metrics.builtin import OBSERVERS
from flagger.metrics.gotemplate.parser import parse
from flagger.metrics.templating import NAMES, render

ROUNDS = 2000
MODEL = QueryModel(
    "checkout", "shop", "checkout", "checkout", "edge", "edge", "1m", {"tier": "gold", "max": "5"}
)
TEXTS = {
    "built-in success rate": OBSERVERS["gatewayapi"].success_rate,
    "one variable": 'up{tier="{{ variables.tier }}"}',
    "control flow": (
        '{{ define "sel" }}ns="{{ . }}"{{ end }}sum(rate(x{ {{- template "sel" namespace }}'
        '{{ range $k, $v := variables }},{{ $k }}="{{ $v | urlquery }}"{{ end }}}[{{ interval }}]))'
        '{{ if eq variables.tier "gold" "silver" }} * {{ printf "%.2f" 1.5 }}{{ end }}'
    ),
}


def run() -> list[Figure]:
    """Measure each text."""
    known = {*NAMES, "eq", "printf", "urlquery"}
    found = []
    for name, text in TEXTS.items():
        parsing = microseconds("parse(text, known)", parse=parse, text=text, known=known)
        rendering = microseconds("render(text, model)", render=render, text=text, model=MODEL)
        found.append(Figure(f"parse: {name}", "µs", parsing, note=f"{len(text)} characters"))
        found.append(Figure(f"render: {name}", "µs", rendering, note="as each tick does"))
    return found


def microseconds(statement: str, **names: object) -> tuple[float, ...]:
    """Mean time of an execution, in each of several runs."""
    times = timeit.repeat(statement, globals=names, number=ROUNDS, repeat=7)
    return tuple(seconds / ROUNDS * 1e6 for seconds in times)
