"""Tokens to a tree, by Go's grammar of actions, pipelines and commands."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

from flagger.metrics.gotemplate import literals
from flagger.metrics.gotemplate.errors import MisuseError, Stage, TemplateError
from flagger.metrics.gotemplate.lexer import Kind, Token, tokens
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
    Variable,
)

_NOT_CALLABLE = (Literal, Nil, Dot)
T = TypeVar("T")


def parse(text: str, functions: Collection[str]) -> Template:
    """Return the tree of a template; `functions` are the names it may call.

    Raises:
        TemplateError: the text is not a template, or it names an unknown function, variable or template.
    """
    parser = _Parser(text, functions)
    try:
        return parser.template()
    except RecursionError:
        raise TemplateError(Stage.PARSING, "nested too deeply", 1, 1) from None


class _Parser:
    """A recursive descent over the tokens; one method per rule of the grammar."""

    def __init__(self, text: str, functions: Collection[str]) -> None:
        self._text = text
        self._functions = functions
        self._tokens = list(tokens(text))
        self._next = 0
        self._variables = ["$"]
        self._loops = 0
        self._defined: dict[str, Block] = {}

    # -- tokens

    def _peek(self, *, spaces: bool = False) -> Token:
        """Return the next token without taking it; white space only when asked for."""
        if not spaces:
            while self._tokens[self._next].kind is Kind.SPACE:
                self._next += 1
        return self._tokens[self._next]

    def _take(self, *, spaces: bool = False) -> Token:
        token = self._peek(spaces=spaces)
        self._next += token.kind is not Kind.END
        return token

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._take()
        if token.kind is not kind:
            raise self._unexpected(token, context)
        return token

    def _keyword(self, word: str) -> bool:
        """Take the next token if it is this keyword."""
        token = self._peek()
        found = token.kind is Kind.KEYWORD and token.text == word
        self._next += found
        return found

    def _error(self, problem: str, at: int) -> TemplateError:
        return TemplateError.at(Stage.PARSING, problem, self._text, at)

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        shown = token.kind.value if token.kind in (Kind.END, Kind.SPACE) else token.text
        return self._error(f"unexpected {shown} in {context}", token.at)

    # -- blocks

    def template(self) -> Template:
        """Parse the whole text."""
        root, _ = self._block("the template", until=(), top=True)
        return Template(self._text, root, self._defined)

    def _block(
        self, context: str, until: Collection[str], *, top: bool = False
    ) -> tuple[Block, Token | None]:
        """Parse nodes up to one of the keywords `until`, which is taken, or up to the end of the text."""
        nodes: list[Node] = []
        while (token := self._peek()).kind is not Kind.END:
            self._take()
            if token.kind is Kind.TEXT:
                nodes.append(Text(token.at, token.text))
                continue
            word = self._peek()
            if word.kind is Kind.KEYWORD and word.text in until:
                return tuple(nodes), self._take()
            if top and self._keyword("define"):
                self._definition()
            else:
                nodes.append(self._action(token.at))
        if until:
            raise self._error(f"{context} has no {{{{ end }}}}", len(self._text))
        return tuple(nodes), None

    def _action(self, at: int) -> Node:
        """Parse what follows `{{`, up to the end of the action or of the block it opens."""
        token = self._peek()
        if token.kind is not Kind.KEYWORD or token.text == "nil":
            return Print(at, self._pipeline("command", Kind.RIGHT))
        self._take()
        match token.text:
            case "if" | "with" | "range":
                return self._branch(token)
            case "break" | "continue":
                self._expect(Kind.RIGHT, token.text)
                if not self._loops:
                    raise self._error(f"{token.text} outside range", token.at)
                return Jump(at, token.text)
            case "template":
                return self._invoke(at)
            case "block":
                return self._named_block(at)
        raise self._unexpected(token, "command")

    def _branch(self, keyword: Token) -> Branch:
        scope = len(self._variables)
        pipe = self._pipeline(keyword.text, Kind.RIGHT)
        loop = keyword.text == "range"
        self._loops += loop
        body, closing = self._block(keyword.text, until=("end", "else"))
        self._loops -= loop
        otherwise = self._otherwise(keyword) if closing and closing.text == "else" else ()
        if closing and closing.text == "end":
            self._expect(Kind.RIGHT, "end")
        del self._variables[scope:]
        return Branch(keyword.at, keyword.text, pipe, body, otherwise)

    def _otherwise(self, opened: Token) -> Block:
        """Parse what follows `{{ else`; `else if` continues an `if`, `else with` a `with`."""
        token = self._peek()
        if opened.text in ("if", "with") and self._keyword(opened.text):
            return (self._branch(token),)
        self._expect(Kind.RIGHT, "else")
        block, _ = self._block(opened.text, until=("end",))
        self._expect(Kind.RIGHT, "end")
        return block

    def _invoke(self, at: int) -> Invoke:
        name = self._template_name("template")
        if self._peek().kind is Kind.RIGHT:
            self._take()
            return Invoke(at, name, None)
        return Invoke(at, name, self._pipeline("template", Kind.RIGHT))

    def _definition(self) -> None:
        name = self._template_name("define")
        self._expect(Kind.RIGHT, "define")
        self._define(name)

    def _named_block(self, at: int) -> Invoke:
        """Parse `{{ block "name" pipe }}`: a definition that is also used in place."""
        name = self._template_name("block")
        pipe = self._pipeline("block", Kind.RIGHT)
        self._define(name)
        return Invoke(at, name, pipe)

    def _define(self, name: str) -> None:
        """Parse the body of a named template, which sees no variables of its surroundings."""
        at = self._peek().at
        outside = self._variables, self._loops
        self._variables, self._loops = ["$"], 0
        body, _ = self._block("define", until=("end",))
        self._expect(Kind.RIGHT, "end")
        self._variables, self._loops = outside
        if _is_blank(body) and name in self._defined:
            return
        if not _is_blank(self._defined.get(name, ())):
            raise self._error(f"the template {name!r} is defined twice", at)
        self._defined[name] = body

    def _template_name(self, context: str) -> str:
        token = self._take()
        if token.kind not in (Kind.STRING, Kind.RAW_STRING):
            raise self._unexpected(token, context)
        return self._read(literals.string, token)

    # -- pipelines

    def _pipeline(self, context: str, closing: Kind) -> Pipe:
        """Parse commands up to and including `closing`."""
        start = self._peek().at
        variables, assigns = self._declarations(context)
        commands: list[tuple[Operand, ...]] = []
        more = True
        while more:
            operands, more = self._command(context, stage=len(commands) + 1)
            commands.append(operands)
        end = self._expect(closing, context).at
        # Variables of a declaration are known only behind it.
        self._variables += () if assigns else variables
        return Pipe(start, self._text[start:end].strip(), tuple(commands), variables, assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Parse `$x :=`, `$x =` or, in a range, `$x, $y :=`; nothing is taken when there is none."""
        back = self._next
        names: list[str] = []
        while self._peek().kind is Kind.VARIABLE:
            names.append(self._take().text)
            token = self._take()
            if token.kind is Kind.DECLARE:
                return tuple(names), False
            if token.kind is Kind.ASSIGN:
                unknown = [name for name in names if name not in self._variables]
                self._check(not unknown, f"variable {''.join(unknown[:1])} is not defined", token)
                return tuple(names), True
            if token.text != ",":
                break
            if context != "range" or len(names) > 1:
                raise self._error(f"too many variables in {context}", token.at)
        if len(names) > 1:
            raise self._error("a second variable in range needs := or =", self._peek().at)
        self._next = back
        return (), False

    def _command(self, context: str, *, stage: int) -> tuple[tuple[Operand, ...], bool]:
        """Parse operands up to a pipe, which is taken; the flag tells whether there was one."""
        operands: list[Operand] = []
        while (operand := self._operand()) is not None:
            operands.append(operand)
            if self._peek(spaces=True).kind is not Kind.SPACE:
                break
        token = self._peek()
        if token.kind not in (Kind.PIPE, Kind.RIGHT, Kind.CLOSE):
            raise self._unexpected(token, context)
        if not operands:
            raise self._error(f"a value is missing in {context}", token.at)
        if stage > 1 and isinstance(operands[0], _NOT_CALLABLE):
            raise self._error(f"{operands[0].source} cannot take the value of a pipeline", operands[0].at)
        self._next += token.kind is Kind.PIPE
        return tuple(operands), token.kind is Kind.PIPE

    def _operand(self) -> Operand | None:
        term = self._term()
        if term is None:
            return None
        keys: list[str] = []
        start = self._peek(spaces=True).at
        while self._peek(spaces=True).kind is Kind.FIELD:
            keys.append(self._take().text[1:])
        if not keys:
            return term
        if isinstance(term, _NOT_CALLABLE):
            raise self._error(f"{term.source} has no fields", start)
        return _with_keys(term, tuple(keys))

    def _term(self) -> Operand | None:
        """Parse one operand without the fields that may follow; None when the next token starts none."""
        token = self._peek()
        if token.kind is Kind.OPEN:
            self._take()
            return self._pipeline("parentheses", Kind.CLOSE)
        term = self._simple_term(token)
        self._next += term is not None
        return term

    def _simple_term(self, token: Token) -> Operand | None:
        match token.kind:
            case Kind.NAME if token.text in ("true", "false"):
                return Literal(token.at, token.text == "true", token.text)
            case Kind.NAME:
                self._check(token.text in self._functions, f'function "{token.text}" is not defined', token)
                return Name(token.at, token.text)
            case Kind.DOT:
                return Dot(token.at)
            case Kind.KEYWORD if token.text == "nil":
                return Nil(token.at)
            case Kind.VARIABLE:
                self._check(token.text in self._variables, f"variable {token.text} is not defined", token)
                return Variable(token.at, token.text)
            case Kind.FIELD:
                return Fields(token.at, Dot(token.at), (token.text[1:],), token.text)
            case Kind.STRING | Kind.RAW_STRING:
                return Literal(token.at, self._read(literals.string, token), token.text)
            case Kind.CHARACTER:
                return Literal(token.at, self._read(literals.character, token), token.text)
            case Kind.NUMBER:
                return Literal(token.at, self._read(literals.number, token), token.text)
        return None

    def _check(self, holds: bool, problem: str, token: Token) -> None:
        if not holds:
            raise self._error(problem, token.at)

    def _read(self, reader: Callable[[str], T], token: Token) -> T:
        try:
            return reader(token.text)
        except MisuseError as error:
            raise self._error(str(error), token.at) from None


def _with_keys(term: Operand, keys: tuple[str, ...]) -> Fields:
    """Return the look-up of `keys` in `term`; `.a` followed by `.b` is one look-up."""
    added = "".join(f".{key}" for key in keys)
    if isinstance(term, Fields):
        return replace(term, keys=term.keys + keys, source=term.source + added)
    return Fields(term.at, term, keys, term.source + added)


def _is_blank(block: Block) -> bool:
    """Tell whether a named template holds nothing but white space; such a one may be defined again."""
    return all(isinstance(node, Text) and not node.text.strip() for node in block)
