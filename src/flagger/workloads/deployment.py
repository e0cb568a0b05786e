"""A Deployment as target: revisions are pod templates, parking is zero replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from flagger.api.canary import Canary
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.objects import DEPLOYMENT, REPLICA_SET, Object, annotations_of, labels_of, selector_of
from flagger.rollout.state import Readiness, WorkloadState
from flagger.workloads.base import Options, Sighting, SupersededError, TargetError
from flagger.workloads.metadata import find_selector, with_prefix
from flagger.workloads.ports import discover_ports
from flagger.workloads.primary import (
    PREVIOUS_ID,
    PREVIOUS_REVISION,
    REVISION,
    identity_of,
    new_primary,
    promoted_spec,
)
from flagger.workloads.readiness import deployment_readiness
from flagger.workloads.revision import hash_of
from flagger.workloads.scalers import working_size

_REPLICA_SET_LABEL = "pod-template-hash"


class DeploymentWorkload:
    """Reads through the caches; `identity` makes the name of a new template."""

    kind = DEPLOYMENT

    def __init__(self, cluster: Cluster, options: Options, identity: Callable[[], str]) -> None:
        self._cluster = cluster
        self._options = options
        self._identity = identity

    def revision_of(self, target: Object) -> str:
        """The hash of the pod template; replicas, strategy and the like are no revision."""
        return hash_of(target["spec"]["template"])

    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Whether the target or the primary can serve; the message says which of them."""
        analysis, name = canary.spec.analysis, workload["metadata"]["name"]
        primary = name == canary.primary_name
        threshold = analysis.primary_ready_percent if primary else analysis.canary_ready_percent
        found = deployment_readiness(workload, threshold, canary.progress_deadline, now)
        if found.ready:
            return found
        who = "" if primary else "canary deployment "
        return Readiness(False, f"{who}{name}.{canary.namespace} not ready: {found.message}", found.terminal)

    async def sight(self, canary: Canary, now: datetime) -> Sighting:
        """Look at target and primary; see `Workload.sight`."""
        target = await self._target(canary)
        selector = find_selector(target, self._options.labels)
        primary = await self._primary(canary)
        return Sighting(
            target=self._state(canary, target, now, self.revision_of(target)),
            primary=self._state(canary, primary, now, _recorded(primary)) if primary else None,
            selector=selector,
            ports=discover_ports(canary, target["spec"]["template"]),
        )

    async def ensure_primary(self, canary: Canary, *, refresh: bool) -> None:
        """Create the primary if it is missing; `refresh` follows a target that changed since."""

        async def attempt() -> None:
            target, primary = await self._target(canary), await self._primary(canary)
            if primary is None:
                selector = find_selector(target, self._options.labels)
                made = new_primary(canary, target, selector, self._options, self._identity())
                made["metadata"]["annotations"][REVISION] = self.revision_of(target)
                await self._cluster.create(DEPLOYMENT, made)
            elif refresh and _recorded(primary) not in ("", self.revision_of(target)):
                await self._copy(canary, target, primary)

        await retry_on_conflict(attempt)

    async def scale_up(self, canary: Canary) -> None:
        """Bring the target to its own size if it has one, else to the primary's or the scaler's minimum."""
        target = await self._target(canary)
        if not target["spec"].get("replicas", 1):
            await self._resize(canary, await working_size(self._cluster, canary, await self._primary(canary)))

    async def scale_down(self, canary: Canary) -> None:
        """Take the target to zero replicas."""
        target = await self._cluster.get(DEPLOYMENT, canary.namespace, canary.target_name)
        if target is not None and target["spec"].get("replicas", 1):
            await self._resize(canary, 0)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str] | None) -> None:
        """Copy the target's template to the primary; see `Workload.promote`."""

        async def attempt() -> None:
            target, primary = await self._target(canary), await self._primary(canary)
            if self.revision_of(target) != revision:
                raise SupersededError(f"{canary.target_name}.{canary.namespace} changed after its analysis")
            if primary is None:
                raise TargetError(f"deployment {canary.primary_name}.{canary.namespace} does not exist")
            if _recorded(primary) != revision:
                await self._copy(canary, target, primary)

        await retry_on_conflict(attempt)

    async def restore(self, canary: Canary) -> None:
        """Take the template before the last promotion from the primary's ReplicaSets, if one still has it."""
        primary = await self._primary(canary)
        known = annotations_of(primary) if primary else {}
        previous = known.get(PREVIOUS_ID)
        if primary is None or not previous or identity_of(primary["spec"]["template"]) == previous:
            return
        labels = selector_of(primary["spec"]["selector"]["matchLabels"])
        found = await self._cluster.client.list(REPLICA_SET, canary.namespace, labels=labels)
        for replica_set in found.items:
            template = replica_set["spec"]["template"]
            if identity_of(template) == previous:
                template["metadata"].get("labels", {}).pop(_REPLICA_SET_LABEL, None)
                await self._overwrite(
                    primary, {"template": template}, {REVISION: known.get(PREVIOUS_REVISION)}
                )
                return

    async def revert(self, canary: Canary) -> None:
        """Give the target the primary's replicas."""
        target = await self._cluster.get(DEPLOYMENT, canary.namespace, canary.target_name)
        primary = await self._primary(canary)
        if target is None:
            return
        wanted = (
            primary["spec"].get("replicas", 1) if primary else await working_size(self._cluster, canary, None)
        )
        if target["spec"].get("replicas", 1) != wanted:
            await self._resize(canary, wanted)

    def _state(self, canary: Canary, workload: Object, now: datetime, revision: str) -> WorkloadState:
        return WorkloadState(
            revision=revision,
            readiness=self.readiness(canary, workload, now),
            replicas=workload["spec"].get("replicas", 1),
            available=(workload.get("status") or {}).get("availableReplicas", 0),
        )

    async def _target(self, canary: Canary) -> Object:
        target = await self._cluster.get(DEPLOYMENT, canary.namespace, canary.target_name)
        if target is None:
            raise TargetError(
                f"deployment {canary.target_name}.{canary.namespace} get query error: "
                f'deployments.apps "{canary.target_name}" not found'
            )
        return target

    async def _primary(self, canary: Canary) -> Object | None:
        return await self._cluster.get(DEPLOYMENT, canary.namespace, canary.primary_name)

    async def _copy(self, canary: Canary, target: Object, primary: Object) -> None:
        """Make the primary run what the target holds, and note how to undo it."""
        selector = find_selector(target, self._options.labels)
        spec = promoted_spec(canary, target, selector, self._options, self._identity())
        kept = with_prefix(annotations_of(target), self._options.prefixes)
        notes = {
            **kept,
            REVISION: self.revision_of(target),
            PREVIOUS_REVISION: annotations_of(primary).get(REVISION),
            PREVIOUS_ID: identity_of(primary["spec"]["template"]),
        }
        labels = with_prefix(labels_of(target), self._options.prefixes) | {selector.label: selector.primary}
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
        await self._cluster.patch(DEPLOYMENT, metadata["name"], metadata["namespace"], body)

    async def _resize(self, canary: Canary, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        await self._cluster.patch(DEPLOYMENT, canary.target_name, canary.namespace, body)


def _recorded(primary: Object) -> str:
    """The revision that the primary is known to run; empty for one that upstream made."""
    return annotations_of(primary).get(REVISION, "")
