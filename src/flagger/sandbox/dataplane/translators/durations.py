"""Time limits as users write them."""

from datetime import timedelta

from flagger.api.errors import FieldError
from flagger.api.quantities import parse_duration

UNLIMITED = frozenset({"", "0", "infinity", "infinite"})


def duration_of(field: str, text: str | None) -> timedelta:
    """The duration at `field`; 0 where there is no limit.

    Raises:
        FieldError: the text is no duration.
    """
    if (text or "") in UNLIMITED:
        return timedelta(0)
    try:
        return parse_duration(str(text))
    except ValueError as error:
        raise FieldError(field, str(error), "write a duration such as 30s") from error
