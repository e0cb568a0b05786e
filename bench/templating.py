"""How fast queries are rendered: python bench/templating.py."""

import timeit

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


def microseconds(statement: str, **names: object) -> float:
    """Best of five runs, per execution."""
    return min(timeit.repeat(statement, globals=names, number=ROUNDS, repeat=5)) / ROUNDS * 1e6


def main() -> None:
    print(f"{'template':24} {'parse µs':>9} {'render µs':>10}")
    known = {*NAMES, "eq", "printf", "urlquery"}
    for name, text in TEXTS.items():
        parsing = microseconds("parse(text, known)", parse=parse, text=text, known=known)
        rendering = microseconds("render(text, model)", render=render, text=text, model=MODEL)
        print(f"{name:24} {parsing:9.1f} {rendering:10.1f}")


if __name__ == "__main__":
    main()
