"""Faults to order: which user request fails, and how long each one takes."""

import random

from flagger.sandbox.podinfo.settings import Settings

RANDOM_ERRORS = (500, 400, 409)  # what podinfo draws from with --random-error


class Faults:
    """Decides request by request; the Nth is counted exactly, ratios are drawn."""

    def __init__(self, settings: Settings, draw: random.Random | None = None) -> None:
        self._settings = settings
        self._draw = draw or random.Random()
        self._seen = 0

    def delay(self) -> float:
        """Seconds that the next user request has to wait."""
        settings = self._settings
        seconds = settings.latency_ms / 1000
        if settings.random_delay:
            seconds += (
                self._draw.uniform(settings.random_delay_min, settings.random_delay_max) * settings.delay_unit
            )
        return seconds

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
