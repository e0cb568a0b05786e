"""Why a query was not answered, in the classes that the HTTP API tells apart."""

from typing import ClassVar


class QueryError(Exception):
    """A query that has no answer."""

    kind: ClassVar[str] = "execution"
    """The `errorType` of the HTTP API."""


class BadQueryError(QueryError):
    """The text is not PromQL, or a parameter is wrong."""

    kind = "bad_data"


class ExecutionError(QueryError):
    """The query cannot be evaluated on these series."""


class UnsupportedError(QueryError):
    """Valid PromQL that this store does not implement; says which function, operator or notation."""


class QueryTimeoutError(QueryError):
    """The query took longer than one may: everything else in this process waits for it."""

    kind = "timeout"
