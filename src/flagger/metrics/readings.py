"""One question, one answer: what several Canaries ask of a backend within a moment is asked once."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta

from flagger.metrics.base import MetricProvider, Reading

LONGEST = 5.0  # seconds for which an answer may serve others: no longer than servers scrape
SHARE = 4  # an answer serves others for a quarter of the interval at which they look

Question = tuple[MetricProvider, str, timedelta]
"""Who is asked, the query, and its window."""


def shareable(interval: timedelta) -> float:
    """Return how old an answer may be, in seconds, for a Canary that looks at this interval."""
    return min(LONGEST, interval.total_seconds() / SHARE)


@dataclass(slots=True)
class _Asked:
    """A question on its way, or answered."""

    answer: asyncio.Task[Reading]
    at: float
    """Loop time at which it was asked."""
    waiting: int = 0
    """How many wait for the answer; when the last one leaves, the question is taken back."""
    served: set[str] = field(default_factory=set)
    """Who asked; none of them gets the same answer twice."""


class Readings:
    """Asks providers. Two that are equal are one: each provider is made once per version of its template."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Question, _Asked] = OrderedDict()

    async def ask(self, question: Question, *, who: str, age: float) -> Reading:
        """Return what the query yields; what another asked for up to `age` seconds ago will do."""
        now = asyncio.get_running_loop().time()
        asked = self._asked.get(question)
        if asked is None or now - asked.at > age or who in asked.served or asked.answer.cancelling():
            asked = self._ask(question, now)
        asked.served.add(who)
        asked.waiting += 1
        try:
            # The answer may be for others too: who leaves early must not take it away from them.
            return await asyncio.shield(asked.answer)
        finally:
            asked.waiting -= 1
            if not asked.waiting:
                asked.answer.cancel()

    def _ask(self, question: Question, now: float) -> _Asked:
        self._forget(now)
        provider, text, window = question
        asked = _Asked(asyncio.create_task(provider.query(text, window=window), name="metric query"), now)
        self._asked[question] = asked
        self._asked.move_to_end(question)
        return asked

    def _forget(self, now: float) -> None:
        """Drop the answers that are too old for anybody; the oldest question is the first."""
        while self._asked:
            question, asked = next(iter(self._asked.items()))
            if now - asked.at <= LONGEST or not asked.answer.done():
                return
            del self._asked[question]
