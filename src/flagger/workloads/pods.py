"""What Deployments and DaemonSets have in common: a revision is a pod template, the primary is a second workload."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from flagger.api.canary import Canary
from flagger.api.phases import ACTIVE
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.objects import Kind, Object, annotations_of, labels_of
from flagger.rollout.state import Readiness, WorkloadState
from flagger.workloads.base import Options, Sighting, SupersededError, TargetError
from flagger.workloads.configs import Configs, Scan, note_of, read_note
from flagger.workloads.metadata import find_selector, with_prefix
from flagger.workloads.ports import discover_ports
from flagger.workloads.primary import (
    CONFIGS,
    PREVIOUS_CONFIGS,
    PREVIOUS_ID,
    PREVIOUS_REVISION,
    PROMOTED_BY,
    REVISION,
    Draft,
    identity_of,
    new_primary,
    promoted_spec,
)
from flagger.workloads.revision import hash_of


class PodWorkload(ABC):
    """Reads through the caches; `identity` makes the name of a new template."""

    kind: Kind
    fields: ClassVar[Sequence[str]]
    """Settings of a target's spec that its primary shares."""

    def __init__(self, cluster: Cluster, options: Options, identity: Callable[[], str]) -> None:
        self._cluster = cluster
        self._options = options
        self._identity = identity
        self._configs = Configs(cluster, options)

    @abstractmethod
    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Whether the target or the primary can serve; the message says which of them."""

    @abstractmethod
    async def scale_up(self, canary: Canary) -> None:
        """Bring the target from zero to its working size."""

    @abstractmethod
    async def scale_down(self, canary: Canary) -> None:
        """Take the target to zero."""

    @abstractmethod
    async def revert(self, canary: Canary) -> None:
        """Hand the target back on deletion."""

    @abstractmethod
    def _size(self, workload: Object) -> tuple[int, int]:
        """The number of pods wanted, and that of pods which can take requests."""

    @abstractmethod
    async def _former_template(self, primary: Object, identity: str) -> Object | None:
        """The template of that identity, if the primary's history still has it."""

    def _released(self, target: Object) -> Object:
        """The target without what says that it is parked."""
        return target

    def _objection(self, target: Object) -> str:
        """Why the target can't be released at all; empty for one that can."""
        return ""

    def _size_for(self, canary: Canary, target: Object, primary: Object | None) -> Object:
        """The fields of the primary's spec that say how large it is."""
        return {}

    def revision_of(self, target: Object) -> str:
        """The hash of the pod template; replicas, strategy and the like are no revision."""
        return hash_of(self._released(target)["spec"]["template"])

    async def sight(self, canary: Canary, now: datetime) -> Sighting:
        """Look at target and primary; see `Workload.sight`."""
        target, primary = await self._target(canary), await self._primary(canary)
        scan = await self._configs.scan(canary, target["spec"]["template"])
        return Sighting(
            target=self._state(canary, target, now, self.revision_of(target)),
            primary=self._state(canary, primary, now, _recorded(primary)) if primary else None,
            selector=find_selector(target, self._options.labels),
            ports=discover_ports(canary, target["spec"]["template"]),
            configs=self._usable(canary, target, scan),
            watched=scan.watched,
        )

    def _usable(self, canary: Canary, target: Object, scan: Scan) -> Mapping[str, str] | None:
        """What is tracked. What is missing must not keep a run that has traffic from being taken back."""
        try:
            self._check(target)
            return scan.complete(canary.namespace)
        except TargetError:
            if canary.status.phase in ACTIVE or canary.status.canary_weight:
                return canary.status.tracked_configs
            raise

    async def ensure_primary(self, canary: Canary, *, refresh: bool) -> None:
        """Create the primary if it is missing; `refresh` follows a target that changed since."""

        async def attempt() -> None:
            target, primary = await self._target(canary), await self._primary(canary)
            if primary is not None and not (refresh and _recorded(primary)):
                return
            scan = await self._configs.scan(canary, target["spec"]["template"])
            if primary is None:
                await self._create(canary, target, scan, fresh=refresh)
            elif _contents(primary) != (self.revision_of(target), note_of(scan.tracked)):
                await self._copy(canary, target, primary, scan.complete(canary.namespace))

        await retry_on_conflict(attempt)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str] | None) -> None:
        """Copy the target's configs and template to the primary; see `Workload.promote`."""

        async def attempt() -> None:
            target, primary = await self._target(canary), await self._primary(canary)
            scan = await self._configs.scan(canary, target["spec"]["template"])
            tracked = scan.complete(canary.namespace)
            known = None if tracked is None or configs is None else dict(configs)
            if self.revision_of(target) != revision or (known is not None and known != tracked):
                raise SupersededError(f"{canary.target_name}.{canary.namespace} changed after its analysis")
            if primary is None:
                raise TargetError(f"{self._noun} {canary.primary_name}.{canary.namespace} does not exist")
            if _contents(primary) != (revision, note_of(tracked)):
                self._check(target)
                await self._copy(canary, target, primary, tracked)

        await retry_on_conflict(attempt)

    async def restore(self, canary: Canary) -> None:
        """Take back the last promotion: the copies' contents, then the template, if the history still has it."""
        primary = await self._primary(canary)
        known = annotations_of(primary) if primary else {}
        previous = known.get(PREVIOUS_ID)
        if primary is None or not previous or identity_of(primary["spec"]["template"]) == previous:
            return
        if known.get(PROMOTED_BY) != _run_of(canary):
            return  # this run found the primary as it wanted it, so there is nothing of its own to take back
        template = await self._former_template(primary, previous)
        if template is None:
            return
        await retry_on_conflict(lambda: self._configs.restore(canary, read_note(known.get(PREVIOUS_CONFIGS))))
        notes = {REVISION: known.get(PREVIOUS_REVISION), CONFIGS: known.get(PREVIOUS_CONFIGS)}
        await self._overwrite(primary, {"template": template}, notes)

    def _check(self, target: Object) -> None:
        objection = self._objection(target)
        if objection:
            raise TargetError(objection)

    @property
    def _noun(self) -> str:
        return self.kind.kind.lower()

    async def _target(self, canary: Canary) -> Object:
        target = await self._cluster.get(self.kind, canary.namespace, canary.target_name)
        if target is None:
            raise TargetError(
                f"{self._noun} {canary.target_name}.{canary.namespace} get query error: "
                f'{self.kind.resource} "{canary.target_name}" not found'
            )
        return target

    async def _primary(self, canary: Canary) -> Object | None:
        return await self._cluster.get(self.kind, canary.namespace, canary.primary_name)

    def _state(self, canary: Canary, workload: Object, now: datetime, revision: str) -> WorkloadState:
        replicas, available = self._size(workload)
        ready = self.readiness(canary, workload, now)
        return WorkloadState(revision=revision, readiness=ready, replicas=replicas, available=available)

    def _draft(self, canary: Canary, target: Object, tracked: Mapping[str, str] | None) -> Draft:
        return Draft(
            canary=canary,
            target=self._released(target),
            selector=find_selector(target, self._options.labels),
            options=self._options,
            identity=self._identity(),
            fields=self.fields,
            tracked=tuple(tracked or ()),
        )

    async def _create(self, canary: Canary, target: Object, scan: Scan, *, fresh: bool) -> None:
        """Make the primary; unless it is the first one, copies that exist hold what was promoted."""
        self._check(target)
        draft = self._draft(canary, target, scan.complete(canary.namespace))
        held = await self._configs.copy(canary, scan.tracked or {}, overwrite=fresh)
        made = new_primary(draft)
        made["apiVersion"], made["kind"] = self.kind.api_version, self.kind.kind
        made["spec"] |= self._size_for(canary, target, None)
        made["metadata"]["annotations"][REVISION] = self.revision_of(target)
        if held:
            made["metadata"]["annotations"][CONFIGS] = note_of(held)
        await self._cluster.create(self.kind, made)

    async def _copy(
        self, canary: Canary, target: Object, primary: Object, tracked: Mapping[str, str] | None
    ) -> None:
        """Make the primary run what the target holds, configs first, and note how to undo it."""
        draft, known = self._draft(canary, target, tracked), annotations_of(primary)
        await self._configs.copy(canary, tracked or {})
        notes = {
            **with_prefix(annotations_of(target), self._options.prefixes),
            REVISION: self.revision_of(target),
            CONFIGS: note_of(tracked),
            PREVIOUS_REVISION: known.get(REVISION),
            PREVIOUS_CONFIGS: known.get(CONFIGS),
            PREVIOUS_ID: identity_of(primary["spec"]["template"]),
            PROMOTED_BY: _run_of(canary),
        }
        labels = with_prefix(labels_of(target), self._options.prefixes)
        labels[draft.selector.label] = draft.selector.primary
        spec = promoted_spec(draft) | self._size_for(canary, target, primary)
        await self._overwrite(primary, spec, notes, labels)

    async def _overwrite(
        self,
        primary: Object,
        spec: Object,
        annotations: Mapping[str, str | None],
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Replace the given fields of the primary's spec as a whole; the rest of it stays."""
        metadata = primary["metadata"]
        live = {field: primary["spec"].get(field) for field in spec}
        body = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": dict(annotations),
                "labels": dict(labels or {}),
            },
            "spec": merge_patch(live, spec) or {},
        }
        await self._cluster.patch(self.kind, metadata["name"], metadata["namespace"], body)


def _recorded(primary: Object) -> str:
    """The revision that the primary is known to run; empty for one that upstream made."""
    return annotations_of(primary).get(REVISION, "")


def _run_of(canary: Canary) -> str:
    return str(canary.status.run.number if canary.status.run else 0)


def _contents(primary: Object) -> tuple[str, str | None]:
    """Revision and configs of the primary; a change of configs alone is a release too."""
    known = annotations_of(primary)
    return known.get(REVISION, ""), known.get(CONFIGS)
