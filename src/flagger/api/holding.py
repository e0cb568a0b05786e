"""What an analysis does when a metric brings no verdict: nothing was measured, or nobody could be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from flagger.api.analysis import Analysis, OnSilence
from flagger.api.names import HOLD_LIMIT, NO_DATA, PROVIDER_ERROR
from flagger.api.quantities import duration_or

DEFAULT_HOLD_LIMIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Holding:
    """The policy of one Canary: its fields, else its annotations, else hold."""

    no_data: OnSilence
    provider_error: OnSilence
    limit: timedelta
    """How long the traffic may stay where it is without a verdict; then every further pass counts as failed."""

    @classmethod
    def of(cls, analysis: Analysis, annotations: Mapping[str, str]) -> Self:
        """Read the policy; what cannot be read is the default."""
        limit = duration_or(analysis.hold_limit or annotations.get(HOLD_LIMIT, ""), DEFAULT_HOLD_LIMIT)
        return cls(
            no_data=analysis.no_data or _named(annotations.get(NO_DATA, "")),
            provider_error=analysis.provider_error or _named(annotations.get(PROVIDER_ERROR, "")),
            limit=max(limit, timedelta()),
        )


def _named(text: str) -> OnSilence:
    return OnSilence(text) if text in set(OnSilence) else OnSilence.HOLD
