"""A parsed template. Positions are offsets into its text, in characters."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = str | bool | int | float | Mapping[str, str] | None
"""What an expression can be; None is Go's missing value (`.` and `$` at the top)."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, character or truth value, with its source text."""

    at: int
    value: Value
    source: str


@dataclass(frozen=True, slots=True)
class Nil:
    """The word `nil`."""

    at: int
    source: str = "nil"


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value."""

    at: int
    source: str = "."


@dataclass(frozen=True, slots=True)
class Name:
    """A function, which may be called without arguments."""

    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x`, or `$` for the value the template was started with."""

    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Keys looked up one after the other, starting from `base`."""

    at: int
    base: "Operand"
    keys: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands that hand their result on; the last result may be stored in variables."""

    at: int
    source: str
    commands: tuple[tuple["Operand", ...], ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False
    """`=` rather than `:=`."""


Operand = Literal | Nil | Dot | Name | Variable | Fields | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """What stands outside actions, after trimming."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """`{{ pipe }}`: the result is written unless it went into a variable."""

    at: int
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`."""

    at: int
    keyword: str
    pipe: Pipe
    body: "Block"
    otherwise: "Block"


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    at: int
    keyword: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """`{{ template "name" pipe }}`."""

    at: int
    name: str
    pipe: Pipe | None


Node = Text | Print | Branch | Jump | Invoke
Block = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template and the named templates defined in it."""

    text: str
    root: Block
    defined: Mapping[str, Block]
