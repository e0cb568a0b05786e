"""The built-in functions of the language (package text/template of the Go library).

`and` and `or` are not here: they evaluate their arguments one by one, so the evaluator does them.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from flagger.metrics.gotemplate.errors import MisuseError
from flagger.metrics.gotemplate.nodes import Value
from flagger.metrics.gotemplate.printing import plain, sprint, sprintf, sprintln, type_name


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how many arguments it takes; `most` is None without an upper limit."""

    call: Callable[..., Value]
    least: int = 0
    most: int | None = None
    text_first: bool = False
    """Whether the first argument has to be a string."""


def truth(value: Value) -> bool:
    """Tell whether `if` takes a value for true: not empty, not zero, not missing."""
    return bool(value)


def equal(first: Value, *others: Value) -> bool:
    """`eq`: is the first value equal to one of the others? Numbers of different kinds cannot be compared."""
    if not others:
        raise MisuseError("eq: an argument to compare with is missing")
    return any(_same(first, other) for other in others)


def _same(one: Value, other: Value) -> bool:
    if one is None or other is None:
        return one is other
    if type_name(one) != type_name(other):
        raise MisuseError(f"{type_name(one)} and {type_name(other)} cannot be compared")
    if isinstance(one, Mapping):
        raise MisuseError("maps cannot be compared")
    return one == other


def less(one: Value, other: Value) -> bool:
    """`lt`: numbers by value, strings by their bytes."""
    if type_name(one) != type_name(other):
        raise MisuseError(f"{type_name(one)} and {type_name(other)} cannot be compared")
    if isinstance(one, str) and isinstance(other, str):
        return one.encode() < other.encode()
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        return one < other
    raise MisuseError(f"values of type {type_name(one)} have no order")


def index(value: Value, *keys: Value) -> Value:
    """`index`: look keys up one after the other; what a map does not have is an empty string."""
    if value is None:
        raise MisuseError("index of a missing value")
    for key in keys:
        value = _indexed(value, key)
    return value


def _indexed(value: Value, key: Value) -> Value:
    if isinstance(value, Mapping):
        if not isinstance(key, str):
            raise MisuseError(f"a map is indexed by string, not by {type_name(key)}")
        return value.get(key, "")
    if isinstance(value, str):
        data = value.encode()
        return data[_position(key, len(data) - 1)]
    raise MisuseError(f"a value of type {type_name(value)} cannot be indexed")


def _position(key: Value, most: int) -> int:
    if not isinstance(key, int) or isinstance(key, bool):
        raise MisuseError(f"a string is indexed by int, not by {type_name(key)}")
    if not 0 <= key <= most:
        raise MisuseError(f"index {key} is out of range")
    return key


def cut(value: Value, *bounds: Value) -> str:
    """`slice`: part of a string, counted in bytes of UTF-8."""
    if not isinstance(value, str):
        raise MisuseError(f"a value of type {type_name(value)} cannot be sliced")
    if len(bounds) > 2:
        raise MisuseError("a string is sliced by two indexes at most")
    data = value.encode()
    start, end = (*(_position(bound, len(data)) for bound in bounds), *(0, len(data))[len(bounds) :])
    if start > end:
        raise MisuseError(f"the slice from {start} to {end} is not possible")
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise MisuseError(f"the slice from {start} to {end} cuts a character in two") from None


def length(value: Value) -> int:
    """`len`: bytes of a string, entries of a map."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return len(value)
    raise MisuseError(f"a value of type {type_name(value)} has no length")


def call(value: Value, *_: Value) -> Value:
    """`call`: no value of this language is a function."""
    raise MisuseError(f"{plain(value)} is not a function")


def _escaping(escape: Callable[[str], str]) -> Callable[..., str]:
    """Return a function that prints its arguments and escapes the result."""

    def escaped(*values: Value) -> str:
        return escape(sprint(["<no value>" if value is None else value for value in values]))

    return escaped


def _html(text: str) -> str:
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


_JS = {"\\": r"\\", "'": r"\'", '"': r"\"", "<": r"\u003C", ">": r"\u003E", "&": r"\u0026", "=": r"\u003D"}


def _js(text: str) -> str:
    return "".join(_JS.get(char) or _js_character(char) for char in text)


def _js_character(char: str) -> str:
    return char if char.isprintable() else f"\\u{ord(char):04X}"


def _urlquery(text: str) -> str:
    return quote_plus(text, safe="")


def _printed(printer: Callable[[Sequence[Value]], str]) -> Callable[..., str]:
    def printed(*values: Value) -> str:
        return printer(values)

    return printed


def _printf(template: str, *values: Value) -> str:
    return sprintf(template, values)


BUILT_IN: Mapping[str, Function] = {
    "call": Function(call, 1),
    "eq": Function(equal, 1),
    "ge": Function(lambda one, other: not less(one, other), 2, 2),
    "gt": Function(lambda one, other: not less(one, other) and not _same(one, other), 2, 2),
    "html": Function(_escaping(_html)),
    "index": Function(index, 1),
    "js": Function(_escaping(_js)),
    "le": Function(lambda one, other: less(one, other) or _same(one, other), 2, 2),
    "len": Function(length, 1, 1),
    "lt": Function(less, 2, 2),
    "ne": Function(lambda one, other: not _same(one, other), 2, 2),
    "not": Function(lambda value: not truth(value), 1, 1),
    "print": Function(_printed(sprint)),
    "printf": Function(_printf, 1, text_first=True),
    "println": Function(_printed(sprintln)),
    "slice": Function(cut, 1),
    "urlquery": Function(_escaping(_urlquery)),
}
"""By name; the arguments come in the order they are written, a piped value last."""

LAZY = frozenset({"and", "or"})
