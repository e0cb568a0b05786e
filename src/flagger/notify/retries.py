"""When a call that failed is worth another attempt, and how long to wait before it."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from flagger.outbound import Answer, Failure, OutboundError

LONGEST_WAIT = timedelta(seconds=30)
"""Bound of the time between two attempts, whatever a receiver asks for."""

_FINAL_SERVER_ERRORS = frozenset({501})
_RETRIED_FAILURES = frozenset({Failure.REFUSED, Failure.TIMEOUT, Failure.DNS, Failure.PROTOCOL})


def is_passing(result: Answer | OutboundError) -> bool:
    """Tell whether a failure may go away by itself: no answer, 429, or 5xx except 501."""
    if isinstance(result, OutboundError):
        return result.kind in _RETRIED_FAILURES
    if result.status in _FINAL_SERVER_ERRORS:
        return False
    return result.status == 429 or result.status >= 500


def pause(result: Answer | OutboundError, attempt: int, now: datetime) -> timedelta:
    """Return the wait behind a failed attempt: 1, 2, 4, … seconds, or what the receiver asks for."""
    asked = _retry_after(result, now) if isinstance(result, Answer) and result.status in (429, 503) else None
    if asked is not None:
        return min(max(asked, timedelta()), LONGEST_WAIT)
    return min(timedelta(seconds=2 ** min(attempt - 1, 10)), LONGEST_WAIT)


def _retry_after(answer: Answer, now: datetime) -> timedelta | None:
    """Return the wait in a `Retry-After` header: seconds or a date (RFC 9110, section 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return timedelta(seconds=int(text[:9]))  # a header may hold more digits than Python converts
    try:
        return parsedate_to_datetime(text) - now
    except (ValueError, TypeError):
        return None
