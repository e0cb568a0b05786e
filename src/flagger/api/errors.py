"""The one error about something a user wrote: which field, what is wrong, what to do."""


class FieldError(Exception):
    """A field of one object cannot be used as it is written.

    Two errors are equal when their three texts are, so tests and tables can compare them.

    Attributes:
        field: path in the object, for example `spec.analysis.stepWeights[1]`; empty for the object itself.
        problem: what is wrong, for example `2.5 is not an integer`.
        fix: what the user can do, in the imperative.
    """

    def __init__(self, field: str, problem: str, fix: str) -> None:
        super().__init__(field, problem, fix)
        self.field = field
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.problem}; {self.fix}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldError) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)
