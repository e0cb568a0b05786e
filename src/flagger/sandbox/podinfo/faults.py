"""Faults to order: which user request fails, how long each one takes, and how many are too many."""

import random

from flagger.sandbox.podinfo.settings import Settings

RANDOM_ERRORS = (500, 400, 409)  # what podinfo draws from with --random-error


class Faults:
    """Decides request by request; the Nth is counted exactly, ratios are drawn."""

    def __init__(self, settings: Settings, draw: random.Random | None = None) -> None:
        self._settings = settings
        self._draw = draw or random.Random()
        self._seen = 0
        self._left, self._last = settings.max_rate, 0.0

    def delay(self) -> float:
        """Seconds that the next user request has to wait."""
        settings = self._settings
        seconds = settings.latency_ms / 1000
        if settings.random_delay:
            seconds += (
                self._draw.uniform(settings.random_delay_min, settings.random_delay_max) * settings.delay_unit
            )
        return seconds

    def overloaded(self, now: float) -> bool:
        """Whether one more user request is too many; `now` is in seconds, from any beginning."""
        rate = self._settings.max_rate
        if not rate:
            return False
        self._left = min(rate, self._left + (now - self._last) * rate)
        self._last = now
        if self._left < 1:
            return True
        self._left -= 1
        return False

    def status(self) -> int | None:
        """The error that the next user request answers, None for a proper answer."""
        settings = self._settings
        self._seen += 1
        if settings.fail_every and self._seen % settings.fail_every == 0:
            return 500
        if settings.fail_ratio and self._draw.random() < settings.fail_ratio:
            return 500
        if settings.random_error and self._draw.randrange(3) == 0:
            return self._draw.choice(RANDOM_ERRORS)
        return None
