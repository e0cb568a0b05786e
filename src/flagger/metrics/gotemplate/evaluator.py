"""A parsed template and its functions to text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never

from flagger.metrics.gotemplate import functions as built_in
from flagger.metrics.gotemplate.errors import MisuseError, Stage, TemplateError
from flagger.metrics.gotemplate.functions import Function, truth
from flagger.metrics.gotemplate.nodes import (
    Block,
    Branch,
    Dot,
    Fields,
    Invoke,
    Jump,
    Literal,
    Name,
    Nil,
    Node,
    Operand,
    Pipe,
    Print,
    Template,
    Text,
    Value,
    Variable,
)
from flagger.metrics.gotemplate.printing import LIMIT, plain, type_name

T = TypeVar("T")

STEPS = 50_000
"""Nodes and calls one rendering may take: about a tenth of a second, far beyond any query."""


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The value of a command that nothing is piped into; None is a value."""


_NOTHING = _Nothing()
_Piped = Value | _Nothing


class _JumpError(Exception):
    """A `break` or `continue` on its way to the loop."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.breaks = keyword == "break"


def execute(template: Template, functions: Mapping[str, Function]) -> str:
    """Return the text that the template renders to, started with a missing value.

    Raises:
        TemplateError: a value is not what its place demands, or the rendering takes too much time or room.
    """
    run = _Run(template, functions)
    try:
        run.block(template.root, None)
        return "".join(run.written)
    except (MisuseError, RecursionError) as error:
        problem = str(error) if isinstance(error, MisuseError) else "nested too deeply"
        raise TemplateError.at(Stage.EXECUTION, problem, template.text, run.at) from None


class _Run:
    """One rendering: what was written, the variables in scope and the position for errors."""

    def __init__(self, template: Template, functions: Mapping[str, Function]) -> None:
        self.written: list[str] = []
        self.at = 0
        self._template = template
        self._functions = functions
        self._variables: list[tuple[str, Value]] = [("$", None)]
        self._steps = 0
        self._size = 0

    def _step(self, at: int) -> None:
        self.at = at
        self._steps += 1
        if self._steps > STEPS:
            raise MisuseError(f"the template takes more than {STEPS} steps")

    def _write(self, text: str) -> None:
        self.written.append(text)
        self._size += len(text)
        if self._size > LIMIT:
            raise MisuseError(f"the text is longer than {LIMIT} characters")

    # -- nodes

    def block(self, nodes: Block, dot: Value) -> None:
        """Execute nodes one after the other."""
        for node in nodes:
            self._step(node.at)
            self._node(node, dot)

    def _node(self, node: Node, dot: Value) -> None:
        match node:
            case Text(text=text):
                self._write(text)
            case Print(pipe=pipe):
                value = self._pipe(pipe, dot)
                if not pipe.variables:
                    self._write(plain(value, missing="<no value>"))
            case Branch(keyword="range"):
                self._scoped(self._range, node, dot)
            case Branch():
                self._scoped(self._choice, node, dot)
            case Jump(keyword=keyword):
                raise _JumpError(keyword)
            case Invoke():
                self._invoke(node, dot)
            case _:
                assert_never(node)

    def _choice(self, branch: Branch, dot: Value) -> None:
        value = self._pipe(branch.pipe, dot)
        if not truth(value):
            self.block(branch.otherwise, dot)
        else:
            self.block(branch.body, value if branch.keyword == "with" else dot)

    def _range(self, branch: Branch, dot: Value) -> None:
        pairs = self._pairs(branch.pipe, self._pipe(branch.pipe, dot))
        for key, value in pairs:
            self._step(branch.at)
            self._bind(branch.pipe, key, value)
            try:
                self._scoped(self.block, branch.body, value)
            except _JumpError as jump:
                if jump.breaks:
                    break
        if not pairs:
            self.block(branch.otherwise, dot)

    def _pairs(self, pipe: Pipe, value: Value) -> Sequence[tuple[Value, Value]]:
        """Return what a range runs over: entries of a map by key, or the numbers below an integer."""
        self.at = pipe.at
        if value is None:
            return ()
        if isinstance(value, Mapping):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool) and len(pipe.variables) < 2:
            if value > STEPS:
                raise MisuseError(f"the template takes more than {STEPS} steps")
            return [(number, number) for number in range(value)]
        raise MisuseError(f"range cannot run over {plain(value)} of type {type_name(value)}")

    def _bind(self, pipe: Pipe, key: Value, value: Value) -> None:
        """Give the variables of a range their values: `$value` alone, or `$key, $value`."""
        values = (key, value) if len(pipe.variables) > 1 else (value,)
        for name, bound in zip(pipe.variables, values, strict=False):
            self._assign(name, bound)

    def _invoke(self, invoke: Invoke, dot: Value) -> None:
        """Execute a named template, which sees only what is passed to it."""
        body = self._template.defined.get(invoke.name)
        if body is None:
            raise MisuseError(f"the template {invoke.name!r} is not defined")
        passed = None if invoke.pipe is None else self._pipe(invoke.pipe, dot)
        outside = self._variables
        self._variables = [("$", passed)]
        self.block(body, passed)
        self._variables = outside

    # -- variables

    def _scoped(self, execute: Callable[[T, Value], None], node: T, dot: Value) -> None:
        """Execute something whose variables end with it."""
        depth = len(self._variables)
        try:
            execute(node, dot)
        finally:
            del self._variables[depth:]

    def _find(self, name: str) -> int:
        """Return the place of the innermost variable of this name."""
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                return place
        raise MisuseError(f"variable {name} has no value here")

    def _assign(self, name: str, value: Value) -> None:
        self._variables[self._find(name)] = (name, value)

    # -- pipelines

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        piped: _Piped = _NOTHING
        for command in pipe.commands:
            piped = self._command(command, dot, piped)
        value = None if isinstance(piped, _Nothing) else piped
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, operands: tuple[Operand, ...], dot: Value, piped: _Piped) -> Value:
        """Execute a command: a function with its arguments, or a single value."""
        first = operands[0]
        self._step(first.at)
        if isinstance(first, Name):
            return self._call(first, operands[1:], dot, piped)
        if len(operands) > 1 or not isinstance(piped, _Nothing):
            raise MisuseError(f"{first.source} is not a function and takes no argument")
        if isinstance(first, Nil):
            raise MisuseError("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        match operand:
            case Literal(value=value):
                return value
            case Nil():
                return None
            case Dot():
                return dot
            case Name():
                return self._call(operand, (), dot, _NOTHING)
            case Variable(source=name):
                self.at = operand.at
                return self._variables[self._find(name)][1]
            case Fields():
                return self._fields(operand, dot)
            case Pipe():
                return self._pipe(operand, dot)
            case _:
                assert_never(operand)

    def _fields(self, operand: Fields, dot: Value) -> Value:
        value = self._operand(operand.base, dot)
        self.at = operand.at
        for key in operand.keys:
            if value is None:
                raise MisuseError(f'nil data; no entry for key "{key}"')
            if not isinstance(value, Mapping):
                raise MisuseError(f"a value of type {type_name(value)} has no field {key}")
            if key not in value:
                raise MisuseError(f'map has no entry for key "{key}"')
            value = value[key]
        return value

    def _call(self, name: Name, operands: Sequence[Operand], dot: Value, piped: _Piped) -> Value:
        self._step(name.at)
        if name.source in built_in.LAZY:
            return self._lazy(name, operands, dot, piped)
        function = self._functions[name.source]
        arguments = [self._operand(operand, dot) for operand in operands]
        if not isinstance(piped, _Nothing):
            arguments.append(piped)
        self.at = name.at
        if len(arguments) < function.least or (function.most is not None and len(arguments) > function.most):
            raise MisuseError(f"wrong number of arguments for {name.source}: {len(arguments)}")
        if function.text_first and not isinstance(arguments[0], str):
            raise MisuseError(f"{name.source} wants a string first, not {type_name(arguments[0])}")
        return function.call(*arguments)

    def _lazy(self, name: Name, operands: Sequence[Operand], dot: Value, piped: _Piped) -> Value:
        """`and`, `or`: the first argument that settles the matter, else the last."""
        value: _Piped = _NOTHING
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (name.source == "or"):
                return value
        if not isinstance(piped, _Nothing):
            return piped
        if isinstance(value, _Nothing):
            self.at = name.at
            raise MisuseError(f"wrong number of arguments for {name.source}: 0")
        return value
