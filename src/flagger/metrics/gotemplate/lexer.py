"""Template text to tokens: what is text, what is an action, and what trim markers take away."""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flagger.metrics.gotemplate.errors import Stage, TemplateError


class Kind(StrEnum):
    """What a token is; the values appear in messages."""

    TEXT = "text"
    LEFT = "{{"
    RIGHT = "}}"
    SPACE = "space"
    STRING = "string"
    RAW_STRING = "raw string"
    CHARACTER = "character"
    NUMBER = "number"
    FIELD = "field"
    DOT = "."
    VARIABLE = "variable"
    KEYWORD = "keyword"
    NAME = "name"
    OPEN = "("
    CLOSE = ")"
    PIPE = "|"
    DECLARE = ":="
    ASSIGN = "="
    OTHER = "character out of place"
    END = "end of the template"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `at` is its offset."""

    kind: Kind
    text: str
    at: int


KEYWORDS = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"}
)

SPACES = " \t\r\n"
_OPENING = re.compile(r"\{\{(?P<trims>-[ \t\r\n])?")
_TRIMMED = re.compile(r"[ \t\r\n]*")
_CLOSING = re.compile(r"[ \t\r\n]-\}\}|\}\}")
# In this order; a space that belongs to the marker ` -}}` is left for the closing delimiter.
_TOKENS = re.compile(
    r"""(?P<SPACE>[ \t\r\n]+?(?=[ \t\r\n]-\}\})|[ \t\r\n]+)
      | (?P<STRING>"(?:[^"\\\n]|\\[^\n])*")
      | (?P<RAW_STRING>`[^`]*`)
      | (?P<CHARACTER>'(?:[^'\\\n]|\\[^\n])*')
      | (?P<NUMBER>[+-]?\.?[0-9](?:[eEpP][+-][0-9]|[\w.])*|[+-])
      | (?P<FIELD>\.\w+)
      | (?P<DOT>\.)
      | (?P<VARIABLE>\$\w*)
      | (?P<NAME>\w+)
      | (?P<OPEN>\()
      | (?P<CLOSE>\))
      | (?P<PIPE>\|)
      | (?P<DECLARE>:=)
      | (?P<ASSIGN>=)
      | (?P<OTHER>[!-~])""",
    re.VERBOSE,
)
_UNFINISHED = {
    '"': "the string is not closed",
    "`": "the raw string is not closed",
    "'": "the character is not closed",
}
_WORDS = frozenset({Kind.FIELD, Kind.DOT, Kind.VARIABLE, Kind.NAME})
_AFTER_WORD = frozenset(" \t\r\n.,|:)(")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a template; the last one is END.

    Raises:
        TemplateError: something is not closed, or a character is out of place.
    """
    position = 0
    while opening := _OPENING.search(text, position):
        before = text[position : opening.start()]
        if opening["trims"]:
            before = before.rstrip(SPACES)
        if before:
            yield Token(Kind.TEXT, before, position)
        if text.startswith("/*", opening.end()):
            position = _after_comment(text, opening.end())
        else:
            yield Token(Kind.LEFT, "{{", opening.start())
            position = yield from _action(text, opening.end())
    if position < len(text):
        yield Token(Kind.TEXT, text[position:], position)
    yield Token(Kind.END, "", len(text))


def _action(text: str, position: int) -> Generator[Token, None, int]:
    """Yield the tokens up to and including the closing delimiter; return the offset where text goes on."""
    opened: list[int] = []
    while (closing := _CLOSING.match(text, position)) is None:
        token = _next(text, position)
        yield token
        position += len(token.text)
        if token.kind is Kind.OPEN:
            opened.append(token.at)
        elif token.kind is Kind.CLOSE:
            if not opened:
                raise _error("unexpected )", text, token.at)
            opened.pop()
    if opened:
        raise _error("the parenthesis is not closed", text, opened[-1])
    yield Token(Kind.RIGHT, "}}", position)
    return _after(text, closing)


def _next(text: str, position: int) -> Token:
    """Return the token of an action that starts at `position`."""
    match = _TOKENS.match(text, position)
    if match is None or match.lastgroup is None:
        here = text[position : position + 1]
        problem = _UNFINISHED.get(here) or (
            f"unexpected character {here!r}" if here else "the action is not closed"
        )
        raise _error(problem, text, position)
    kind = Kind[match.lastgroup]
    found, end = match[0], match.end()
    if kind is Kind.OTHER and found in _UNFINISHED:
        raise _error(_UNFINISHED[found], text, position)
    if kind in _WORDS and end < len(text) and text[end] not in _AFTER_WORD and not text.startswith("}}", end):
        raise _error(f"unexpected character {text[end]!r} after {found}", text, end)
    if kind is Kind.NAME and found in KEYWORDS:
        kind = Kind.KEYWORD
    return Token(kind, found, position)


def _after_comment(text: str, start: int) -> int:
    end = text.find("*/", start + 2)
    if end < 0:
        raise _error("the comment is not closed", text, start)
    closing = _CLOSING.match(text, end + 2)
    if closing is None:
        raise _error("a comment must fill its action: {{/* … */}}", text, end + 2)
    return _after(text, closing)


def _after(text: str, closing: re.Match[str]) -> int:
    """Return where text goes on after a closing delimiter, past the white space it trims."""
    if closing[0] == "}}":
        return closing.end()
    spaces = _TRIMMED.match(text, closing.end())
    return spaces.end() if spaces else closing.end()


def _error(problem: str, text: str, position: int) -> TemplateError:
    return TemplateError.at(Stage.PARSING, problem, text, position)
