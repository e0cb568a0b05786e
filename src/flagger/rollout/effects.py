"""What a tick does to the world, as data; every effect may be repeated without harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flagger.rollout.state import Split


@dataclass(frozen=True, slots=True)
class SetSplit:
    """Divide the traffic."""

    split: Split


@dataclass(frozen=True, slots=True)
class ScaleUp:
    """Bring the target from zero to its working size."""


@dataclass(frozen=True, slots=True)
class ScaleDown:
    """Take the target to zero."""


@dataclass(frozen=True, slots=True)
class PauseScaler:
    """Keep the target's autoscaler from waking the target."""


@dataclass(frozen=True, slots=True)
class ResumeScaler:
    """Let the target's autoscaler work again."""


@dataclass(frozen=True, slots=True)
class UpdatePrimaryScaler:
    """Copy the target's autoscaler settings to the primary's."""


@dataclass(frozen=True, slots=True)
class PromotePrimary:
    """Copy the target to the primary, provided that the target is still the revision that was analysed."""

    revision: str
    configs: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class RestorePrimary:
    """Give the primary back the template that it had before the last promotion."""


Effect = (
    SetSplit
    | ScaleUp
    | ScaleDown
    | PauseScaler
    | ResumeScaler
    | UpdatePrimaryScaler
    | PromotePrimary
    | RestorePrimary
)
