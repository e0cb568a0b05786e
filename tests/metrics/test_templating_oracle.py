"""The template language held against gotpl, an independent implementation of Go's text/template."""

import re
from collections.abc import Callable

import gotpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flagger.api.canary import QueryModel
from flagger.metrics.templating import NAMES, TemplateError, render
from tests.metrics.test_templating import REFUSED, RENDERED

VARIABLES = {"dir": "inbound", "my-key": 'a"b', "empty": "", "n": "10", "u": "é☃"}
MODEL = QueryModel("checkout", "shop", "checkout-api", "checkout", "edge", "edge-rt", "2m", VARIABLES)


class Refused:
    """The template is not rendered; equal to every other refusal, as the wording is each one's own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused)

    __hash__ = None  # type: ignore[assignment]


def ours(text: str) -> str | Refused:
    try:
        return render(text, MODEL)
    except TemplateError:
        return Refused()


def constant(value: object) -> Callable[[], object]:
    """A function of the oracle; it must know that a missing key of our map is an empty string."""
    return lambda: gotpl.TypedMap(value, "", "string", "string") if isinstance(value, dict) else value


ENVIRONMENT = gotpl.Environment(
    functions={name: constant(getattr(MODEL, name)) for name in NAMES}, missing_key="error"
)


def oracle(text: str) -> str | Refused:
    """What gotpl makes of it. Go lets a field follow a function, gotpl wants parentheses there."""
    bracketed = re.sub(r"\bvariables\.(?=\w)", "(variables).", text)
    try:
        return ENVIRONMENT.from_string(bracketed).render(None)
    except gotpl.TemplateError:
        return Refused()


AGREED = r"""
{{ | name }}
{{ if and name variables.empty }}a{{ else if or variables.empty service }}b{{ else }}c{{ end }}
{{ with variables.empty }}x{{ else with name }}{{ . }}{{ end }}
{{ with false }}{{ else if name }}{{ . }}{{ end }}
{{ range 0 }}{{ else range 3 }}{{ . }}{{ end }}
{{ if true }}{{ else if false }}{{ end }}
{{ if true }}x{{ else }}y{{ else }}z{{ end }}
{{ $x := name }}{{ if true }}{{ $x = "y" }}{{ $x := "z" }}{{ $x }}{{ end }}{{ $x }}
{{ range $i, $e := variables }}{{ if eq $i "empty" }}{{ continue }}{{ end }}{{ if eq $i "n" }}{{ break }}{{ end }}{{ $e }}{{ end }}
{{ range 3 }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}
{{ range $i, $j := 3 }}{{ $i }}{{ end }}
{{ range 0 }}x{{ else }}none{{ end }}{{ range . }}x{{ else }}nil{{ end }}
{{ $k := 0 }}{{ $v := 0 }}{{ range $k, $v = variables }}{{ end }}{{ $k }}{{ $v }}
{{ range $a, $b, $c := variables }}{{ end }}
{{ range $a, 3 }}{{ end }}
{{ range 2 }}{{ define "x" }}{{ end }}{{ end }}
{{ printf "%d|%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%q|%U|%#x|%#o" 42 42 42 42 42 42 42 42 42 42 42 42 42 42 }}
{{ printf "%s|%10s|%-10s|%.3s|%q|%x|%X|%+q|%#q" name name name name name name name variables.u name }}
{{ printf "%v %v %v %v %v" name 1 2.5 true variables }}
{{ printf "%f|%.2f|%8.3f|%-8.1f|%e|%E|%g|%G|%.3g|%08.2f|%+f|%v" 3.1 3.1 3.1 3.1 3.1 3.1 3.1 1e-9 3.1 3.1 3.1 1e21 }}
{{ printf "%t|%5t|%-6t|" true true false }}{{ printf "%*d|%-*d|%.*f|%%" 5 1 5 1 2 3.14159 }}
{{ printf "%05s|%-05d|% d|% 05d|%+05d|%x|%o|%O|%#b|%b" name 3 3 3 3 -255 8 8 5 -5 }}
{{ printf "%.0f %.10g %g %e %6.2f%%" 2.5 1234.5678 1234567.0 0.0 12.345 }}
{{ printf "%3c|%-3c|%q %c" 'x' 'y' 'x' 0x1F600 }} {{ printf "%q" "tab\tnl\nq\"\x00é\u200b" }}
{{ print 1 2 "a" "b" 3 4 true }}|{{ println 1 "a" }}|{{ print }}|{{ println }}
{{ len name }} {{ len variables }} {{ len variables.u }}
{{ len 3 }}
{{ len . }}
{{ index variables "a" "b" }}
{{ index variables "dir" 0 }}
{{ index variables }}
{{ index . 1 }}
{{ slice name 1 3 }} {{ slice name 2 }} {{ slice name }} {{ slice name 8 }}
{{ slice name 5 2 }}
{{ slice name 1 2 3 }}
{{ slice variables 1 }}
{{ html "<a href='x'>&\"" "\x00" }} {{ js "it's <\"x\">=&\\\x00\u2028" }} {{ urlquery "a/b?c=d é+~" }}
{{ html name namespace 1 2 }} {{ html . }} {{ js . }} {{ urlquery . }}
{{ eq name "checkout" "x" }} {{ ne name "x" }} {{ eq 1 1 }} {{ eq 1.5 1.5 }} {{ eq true true }} {{ eq nil nil }}
{{ eq name 1 }}
{{ eq name }}
{{ lt 1 2 }} {{ le 2 2 }} {{ gt 1.5 0.5 }} {{ ge "b" "a" }} {{ lt "a" "B" }} {{ le 1 2 }} {{ gt 2 2 }} {{ ge 2 2 }}
{{ lt name 1 }}
{{ lt . . }}
{{ not name }} {{ not "" }} {{ not 0 }} {{ not 0.0 }} {{ not variables }} {{ not . }}
{{ not }}
{{ and 1 0 }} {{ and 1 "" }} {{ or 0 "" }} {{ or 0 "x" 3 }} {{ and true name }}
{{ and }}
{{ 0 | or 1 }} {{ 3 | or 0 }} {{ 3 | and 0 }} {{ 3 | and }}
{{ "a" }}{{ `b"` }}{{ 'c' }}{{ 1_000 }}{{ 0x1F }}{{ 0b11 }}{{ 0o17 }}{{ 017 }}{{ 1e3 }}{{ .5 }}{{ -3 }}{{ +4 }}{{ 1. }}
{{ 0x1p4 }} {{ -0.0 }} {{ 100000.0 }} {{ 1000000.0 }} {{ 0.00001 }} {{ 1e100 }}
{{ 1e400 }}
{{ 9223372036854775807 }} {{ -9223372036854775808 }}
{{ 08 }}
{{ 1__0 }}
{{ 0x }}
{{ 1foo }}
{{ '\n' }}{{ '\'' }}{{ '\x41' }}{{ '☃' }}{{ "\a\t\"\\\x41\u00e9\U0001F600\101" }}
{{ 'ab' }}
{{ '' }}
{{ 'a
{{ "\'" }}
{{ "a" "b" }}
{{ "a""b" }}
{{ (printf "%s" (print name)) }} {{ (variables).dir }} {{ (index variables "dir") }}
{{ ( }}
{{ ) }}
{{ () }}
{{ $ }}
{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}
{{ $x = 1 }}
{{ $x := variables }}{{ $x.dir }}{{ with $x }}{{ .dir }}{{ end }}
{{ $x := variables }}{{ $x.nope }}
{{ $x, $y := variables }}
{{ $x := 1 }}{{ $x 2 }}
{{ $x := }}
{{ if }}x{{ end }}
{{ else }}
{{ define "x" }}[{{ . }}]{{ end }}{{ template "x" name }}{{ template "x" }}
{{ define "x" }}{{ $ }}{{ end }}{{ template "x" name }}
{{ define "x" }} {{ end }}{{ define "x" }}b{{ end }}{{ template "x" }}
{{ define "x" }}b{{ end }}{{ define "x" }} {{ end }}{{ template "x" }}
{{ template name }}
{{ block "b" name }}<{{ . }}>{{ end }}{{ template "b" 3 }}
{{ $v := 1 }}{{ define "q" }}{{ $v }}{{ end }}
{{ range 2 }}{{ template "t" . }}{{ end }}{{ define "t" }}{{ break }}{{ end }}
a {{- 3 }} b {{ 4 -}} c
a {{-/* c */ -}} b
{{/* a */ }}
{{- }}
{{-name}}
{{ name -}}   {{- name }}
{{ name-}}
{{3-}}
{{ -3 -}} x
{{ "}}" }}
{{ 1 | 2 }}
{{ name | "x" }}
{{ name | . }}
{{ variables | index "dir" }}
{{ "dir" | index variables }}
{{ .a.b }}
{{ . a }}
{{ .a b }}
{{ true.x }}
{{ 3.x }}
{{ nil.x }}
{{ ..x }}
{{ true false }}
{{ trueish }}
{{ name # }}
{{ name, 3 }}
{{ if not (eq variables.dir "x") }}ok{{end}}{{ if (and (gt (len name) 3) (lt (len name) 10)) }}ok{{end}}
{{ $m := variables }}{{ range $k, $_ := $m }}{{ $k }} {{ index $m $k }};{{ end }}
"""  # noqa: E501 - one template per line

LOUDER = [
    # Go prints the mistake into the text and goes on; here it is an error.
    ('{{ printf "%d" name }}', "%!d(string=checkout)"),
    ('{{ printf "%s" 1 }}', "%!s(int=1)"),
    ('{{ printf "%s" }}', "%!s(MISSING)"),
    ('{{ printf "x" name }}', "x%!(EXTRA string=checkout)"),
    # A pipe into nothing.
    ("{{ name | }}", "checkout"),
]


@pytest.mark.parametrize("text", AGREED.strip("\n").split("\n"))
def test_agrees(text: str) -> None:
    """Both render the same text, or both refuse."""
    assert ours(text) == oracle(text)


NARROWER = {
    # Refused by us alone: bytes that are no text, numbers beyond what queries need.
    '{{ slice "é" 1 }}',
    "{{ 3i }}",
    "{{ 9223372036854775808 }}",
    "{{ index variables 1 }}",
}
TABLES = [text for text, *_ in (*RENDERED, *REFUSED) if text not in NARROWER | {text for text, _ in LOUDER}]


@pytest.mark.parametrize("text", TABLES)
def test_agrees_on_the_tables(text: str) -> None:
    """What the other tests expect is not only our own opinion."""
    assert ours(text) == oracle(text)


@pytest.mark.parametrize(("text", "theirs"), LOUDER)
def test_is_louder_than_go(text: str, theirs: str) -> None:
    """Where Go goes on with nonsense, we refuse."""
    assert oracle(text) == theirs
    assert ours(text) == Refused()


OPERANDS = st.sampled_from(  # easier to read than a list
    """name|variables.dir|variables.nope|variables.empty|"x"|`y`|1|2|1.5|true|false|variables|$v|(not $v)
    |(index variables "n")|(print name 1)|(len name)|(eq name target)""".split("|")  # noqa: SIM905
).map(str.strip)
FUNCTIONS = st.sampled_from(["eq", "ne", "and", "or", "not", "len", "print", "lt", "urlquery"])
CALLS = st.builds(lambda f, a: " ".join([f, *a]), FUNCTIONS, st.lists(OPERANDS, min_size=1, max_size=3))
PIPES = st.lists(OPERANDS | CALLS, min_size=1, max_size=2).map(" | ".join)
TEXTS = st.sampled_from(["", " ", "a", "x \n ", "}}", '{ns="'])


def actions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    trims = st.sampled_from([("{{ ", " }}"), ("{{- ", " }}"), ("{{ ", " -}}"), ("{{- ", " -}}")])
    printed = st.builds(lambda t, p: t[0] + p + t[1], trims, PIPES)
    chosen = st.builds(
        lambda word, pipe, yes, no: f"{{{{ {word} {pipe} }}}}{yes}{{{{ else }}}}{no}{{{{ end }}}}",
        st.sampled_from(["if", "with", "range", "range $k, $v :=", "with $v :="]),
        PIPES,
        inner,
        inner,
    )
    return st.lists(printed | chosen | TEXTS | inner, max_size=3).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.recursive(TEXTS, actions, max_leaves=6))
def test_agrees_on_generated_templates(text: str) -> None:
    """Templates put together at random from what queries use render alike."""
    whole = "{{ $v := name }}" + text
    assert ours(whole) == oracle(whole)
