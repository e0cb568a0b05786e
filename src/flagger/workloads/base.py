"""The contract of a target kind: what the runtime asks of a workload and tells it to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from flagger.api.canary import Canary
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Readiness, Selector, WorkloadState


class TargetError(Exception):
    """The target can't be used as it is; the text names it and what to do."""


class SupersededError(Exception):
    """The target changed between its analysis and its promotion; nothing was copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the operator is told to treat workloads.

    `labels` are the candidates for the selector label, `prefixes` those of metadata to copy; `*` is all.
    `track_configs` makes changes of ConfigMaps and Secrets releases of their own.
    """

    labels: Sequence[str] = ("app", "name", "app.kubernetes.io/name")
    prefixes: Sequence[str] = ()
    track_configs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The target and its primary as the caches show them.

    `selector` is None for targets without Services of their own. `ports` maps the names of further
    container ports to their numbers, `configs` the tracked ConfigMaps and Secrets to checksums. `watched` are
    kind and name of everything else whose change may be a new release.
    """

    target: WorkloadState
    primary: WorkloadState | None
    selector: Selector | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    configs: Mapping[str, str] | None = None
    watched: frozenset[tuple[Kind, str]] = frozenset()


class Workload(Protocol):
    """One kind of target. Reads caches, writes minimal patches; every action may be repeated."""

    kind: Kind

    def revision_of(self, target: Object) -> str:
        """The hash of what would be released; the runtime compares it between watch events."""

    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Whether the target or the primary, told apart by name, can serve."""

    async def sight(self, canary: Canary, now: datetime) -> Sighting:
        """Look at target and primary.

        Raises:
            TargetError: the target is missing or has no usable label.
        """

    async def ensure_primary(self, canary: Canary, *, refresh: bool) -> None:
        """Create the primary from the target if it is missing; `refresh` also brings it up to date."""

    async def scale_up(self, canary: Canary) -> None:
        """Bring the target from zero to its working size."""

    async def scale_down(self, canary: Canary) -> None:
        """Take the target to zero."""

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str] | None) -> None:
        """Copy the target to the primary.

        Raises:
            SupersededError: the target or its configs are no longer what was analysed.
        """

    async def restore(self, canary: Canary) -> None:
        """Give the primary the template that it had before the last promotion, where that is still known."""

    async def revert(self, canary: Canary) -> None:
        """Hand the target back on deletion: it serves by itself again."""
