"""The template language of queries, as users meet it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.api.canary import QueryModel
from flagger.metrics.templating import TemplateError, render

MODEL = QueryModel(
    name="checkout",
    namespace="shop",
    target="checkout-api",
    service="checkout",
    ingress="edge",
    route="edge-rt",
    interval="2m",
    variables={"dir": "inbound", "my-key": 'a"b', "empty": ""},
)

RENDERED = [
    ('up{ns="{{ namespace }}",d="{{target}}"}[{{ interval }}]', 'up{ns="shop",d="checkout-api"}[2m]'),
    ("{{ name }}/{{ service }}/{{ ingress }}/{{ route }}", "checkout/checkout/edge/edge-rt"),
    ("x  {{- name -}}  y", "xcheckouty"),
    ("x \r\n{{- name -}}\t\n y", "xcheckouty"),
    ("{{\n  name\n}}", "checkout"),
    ("{{ variables.dir }}", "inbound"),
    ('{{ index variables "my-key" }}', 'a"b'),
    ('{{ index variables "nope" }}!', "!"),
    ("{{ variables.empty }}!", "!"),
    ('{{ printf "%s-%s" namespace name }}', "shop-checkout"),
    ('{{ name | printf "%q" }}', '"checkout"'),
    ('{{ if eq variables.dir "inbound" }}IN{{ else }}OUT{{ end }}', "IN"),
    ('{{ if eq variables.dir "outbound" "inbound" }}IN{{ end }}', "IN"),
    ("{{ if variables.empty }}a{{ else if ne name target }}b{{ else }}c{{ end }}", "b"),
    ("{{ if and name (not variables.empty) }}yes{{ end }}", "yes"),
    ("{{ with variables.dir }}[{{ . }}]{{ end }}", "[inbound]"),
    ("{{ with variables.empty }}a{{ else }}b{{ end }}", "b"),
    ("{{ with $d := variables.dir }}{{ if true }}{{ $d }}{{ end }}{{ end }}", "inbound"),
    ("{{ range $k, $v := variables }}{{ $k }}={{ $v }};{{ end }}", 'dir=inbound;empty=;my-key=a"b;'),
    ("{{ range $v := variables }}{{ $v }};{{ end }}", 'inbound;;a"b;'),
    ("{{ $x := name }}{{ if true }}{{ $x = target }}{{ $x := 1 }}{{ end }}{{ $x }}", "checkout-api"),
    ('{{ urlquery "a b&c" }}', "a+b%26c"),
    ("{{/* note */}}z", "z"),
    ("a {{- /* note */ -}} z", "az"),
    ('{{ "{{" }}name{{ `}}` }}', "{{name}}"),
    ("}} { {{ name }} }", "}} { checkout }"),
    ("{{ . }}", "<no value>"),
    ("{{ variables }}", 'map[dir:inbound empty: my-key:a"b]'),
    ("{{ len name }} {{ len variables }} {{ slice name 0 5 }} {{ index name 0 }}", "8 3 check 99"),
    ("{{ 1_000 }} {{ 0x1F }} {{ 'a' }} {{ 2.50 }} {{ 1e6 }} {{ true }}", "1000 31 97 2.5 1e+06 true"),
    ('{{ print 1 2 "a" "b" 3 }} {{ println name }}', "1 2ab3 checkout\n"),
    ('{{ define "sel" }}ns="{{ . }}"{{ end }}up{ {{- template "sel" namespace -}} }', 'up{ns="shop"}'),
    ('{{ block "b" name }}<{{ . }}>{{ end }}', "<checkout>"),
    ("{{ range 5 }}{{ if gt . 2 }}{{ break }}{{ end }}{{ if . }}{{ continue }}{{ end }}x{{ end }}", "x"),
    ("häuser {{ printf \"%-6s|\" \"é\" }}", "häuser é     |"),
    ("line one\r\nline two\n", "line one\r\nline two\n"),
]  # fmt: skip

PARSING = "template parsing failed"
EXECUTION = "template execution failed"
REFUSED = [
    ("{{ name", PARSING, "not closed"),
    ("{{}}", PARSING, "a value is missing"),
    ("{{{ name }}}", PARSING, "unexpected {"),
    ("{{ Name }}", PARSING, 'function "Name" is not defined'),
    ("{{ lower name }}", PARSING, 'function "lower" is not defined'),
    ("{{ variables.my-key }}", PARSING, "unexpected character '-' after .my"),
    ("{{ $x }}", PARSING, "variable $x is not defined"),
    ("{{ if name }}x", PARSING, "if has no {{ end }}"),
    ("{{ end }}", PARSING, "unexpected end"),
    ("{{ break }}", PARSING, "break outside range"),
    ("{{/* note }}", PARSING, "comment is not closed"),
    ('{{ "a }}', PARSING, "string is not closed"),
    ("{{ (name }}", PARSING, "parenthesis is not closed"),
    ("{{ name) }}", PARSING, "unexpected )"),
    ('{{ "a".b }}', PARSING, "has no fields"),
    ("{{ name | 3 }}", PARSING, "cannot take the value of a pipeline"),
    ("{{ 9223372036854775808 }}", PARSING, "too large"),
    ("{{ 3i }}", PARSING, "complex numbers"),
    (r'{{ "\z" }}', PARSING, "unknown escape"),
    ('{{ define "a" }}1{{ end }}{{ define "a" }}2{{ end }}', PARSING, "defined twice"),
    ("{{ variables.nope }}", EXECUTION, 'map has no entry for key "nope"'),
    ("{{ .name }}", EXECUTION, "nil data; no entry for key"),
    ("{{ $.name }}", EXECUTION, "nil data; no entry for key"),
    ("{{ name namespace }}", EXECUTION, "wrong number of arguments for name"),
    ("{{ name.foo }}", EXECUTION, "has no field foo"),
    ("{{ nil }}", EXECUTION, "nil is not a command"),
    ("{{ eq 1 1.5 }}", EXECUTION, "cannot be compared"),
    ("{{ eq variables variables }}", EXECUTION, "maps cannot be compared"),
    ("{{ lt true false }}", EXECUTION, "have no order"),
    ('{{ index name "a" }}', EXECUTION, "indexed by int"),
    ("{{ index name 8 }}", EXECUTION, "out of range"),
    ("{{ index variables 1 }}", EXECUTION, "indexed by string"),
    ('{{ slice "é" 1 }}', EXECUTION, "cuts a character in two"),
    ("{{ range name }}{{ end }}", EXECUTION, "range cannot run over checkout"),
    ('{{ template "x" }}', EXECUTION, "is not defined"),
    ("{{ call name }}", EXECUTION, "is not a function"),
    ('{{ printf "%d" name }}', EXECUTION, "%d does not fit"),
    ('{{ printf "%s" }}', EXECUTION, "an argument is missing"),
    ('{{ printf "x" name }}', EXECUTION, "1 more arguments than"),
    ("{{ printf 1 }}", EXECUTION, "wants a string first"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "result"), RENDERED, ids=[text for text, _ in RENDERED])
def test_renders(text: str, result: str) -> None:
    """A template becomes exactly this query; nothing is escaped."""
    assert render(text, MODEL) == result


@pytest.mark.parametrize(("text", "stage", "problem"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_refuses(text: str, stage: str, problem: str) -> None:
    """A mistake is an error that says at which stage, where and what; nothing is passed through."""
    with pytest.raises(TemplateError) as caught:
        render(text, MODEL)
    assert str(caught.value).startswith(f"{stage}: line 1, column ")
    assert problem in str(caught.value)


def test_errors_know_their_place() -> None:
    """Line and column point at the offending word, across lines and inside functions."""
    with pytest.raises(TemplateError) as caught:
        render('up{\n  ns="{{ namespace }}",\n  é="{{ printf "%s" (index name "x") }}"}', MODEL)
    assert (caught.value.line, caught.value.column) == (3, 22)


def test_variables_absent() -> None:
    """Without templateVariables the map is empty: a key by dot is an error, by index an empty string."""
    model = QueryModel("a", "b", "c", "d", "e", "f", "1m", {})
    assert render('{{ variables }}{{ index variables "x" }}{{ range variables }}x{{ end }}', model) == "map[]"
    with pytest.raises(TemplateError, match="map has no entry"):
        render("{{ variables.x }}", model)


@pytest.mark.parametrize(
    "text",
    [
        '{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}',
        "{{ range 1000000000 }}x{{ end }}",
        "{{ range 40000 }}{{ range 40000 }}x{{ end }}{{ end }}",
        '{{ $x := "0123456789" }}' + "{{ $x = print $x $x $x $x }}" * 30,
        '{{ printf "%1000000000d" 1 }}',
        '{{ printf "%.1000000000f" 1.5 }}',
        "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
        "{{ if true }}" * 3000 + "{{ end }}" * 3000,
    ],
)
def test_greedy_templates_end(text: str) -> None:
    """No template takes unbounded time, memory or stack."""
    with pytest.raises(TemplateError):
        render(text, MODEL)


def test_large_templates() -> None:
    """A hundred kilobytes of text with a thousand actions are rendered as they stand."""
    text = ("x" * 100 + "{{ name }}") * 1000
    assert render(text, MODEL) == ("x" * 100 + "checkout") * 1000


PIECES = st.sampled_from(
    r"""{{ }} {{- -}} name variables . .dir $ $x := = | ( ) " ` ' \ if else end range with define template
    block break continue nil true 1 2.5 -3 printf index eq and or not len slice %s "%d" /* */ , é {""".split()  # noqa: SIM905 - easier to read than a list
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=25).map(" ".join))
def test_any_text_renders_or_is_refused(text: str) -> None:
    """Random text never ends in anything but a result or a TemplateError with its place."""
    places = []
    try:
        assert isinstance(render("{{ " + text, MODEL), str)
    except TemplateError as error:
        places.append((error.line, error.column))
    assert all(line >= 1 and column >= 1 for line, column in places)
