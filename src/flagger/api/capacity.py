"""`spec.analysis.capacity`: whether traffic waits for the pods that are to serve it, and for how long."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from flagger.api.model import Model
from flagger.api.names import RELEASE_GROUP
from flagger.api.quantities import duration_or
from flagger.api.schema import enum

ENFORCE = "enforce"
OFF = "off"
MODES = (ENFORCE, OFF)
DEFAULT_COOL_DOWN = timedelta(minutes=5)

CAPACITY_ANNOTATION = f"{RELEASE_GROUP}/capacity"
"""On a Canary: the mode, where the cluster's CRD is upstream's and drops the field."""


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """How traffic follows capacity.

    `cool_down` is how long after a run the primary's autoscaler keeps its raised minimum, `max_wait` how long
    traffic waits for pods.
    """

    cool_down: timedelta
    max_wait: timedelta


class Capacity(Model):
    """Whether traffic waits for the pods that are to serve it."""

    mode: Annotated[str, enum(*MODES)] = ""
    """enforce: traffic moves only to sides that are ready for it; off: at once; empty: as the operator is told."""
    cool_down: str = ""
    """How long after a run the primary keeps at least its size of before, a duration; 5m when empty."""
    max_wait: str = ""
    """How long a step waits for pods before the run fails, a duration; progressDeadlineSeconds when empty."""

    def limits(self, deadline: timedelta) -> CapacityLimits:
        """Return the times that count; `deadline` is the Canary's progress deadline."""
        return CapacityLimits(
            cool_down=duration_or(self.cool_down, DEFAULT_COOL_DOWN),
            max_wait=duration_or(self.max_wait, deadline),
        )
