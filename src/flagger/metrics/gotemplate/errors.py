"""What can be wrong with a template, and where."""

from enum import StrEnum


class Stage(StrEnum):
    """When the mistake was found."""

    PARSING = "template parsing failed"
    EXECUTION = "template execution failed"


class TemplateError(Exception):
    """A template that cannot be rendered. Line and column count from 1, in characters."""

    def __init__(self, stage: Stage, problem: str, line: int, column: int) -> None:
        super().__init__(stage, problem, line, column)
        self.stage, self.problem, self.line, self.column = stage, problem, line, column

    def __str__(self) -> str:
        return f"{self.stage}: line {self.line}, column {self.column}: {self.problem}"

    @classmethod
    def at(cls, stage: Stage, problem: str, text: str, position: int) -> "TemplateError":
        """Return the error for an offset into the template's text."""
        before = text[:position]
        return cls(stage, problem, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


class MisuseError(Exception):
    """A function or operand was given what it cannot take; the evaluator adds the position."""
