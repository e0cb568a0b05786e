"""A Knative Service as target: one of its revisions is the primary, the newest one the canary.

Nothing is generated. Which revision is the primary is an annotation on the Knative Service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flagger.api.canary import Canary
from flagger.api.names import KNATIVE_PRIMARY_REVISION, RELEASE_GROUP
from flagger.api.phases import ACTIVE
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing
from flagger.kube.objects import Kind, Object, annotations_of, resource_version_of
from flagger.rollout.state import READY, Readiness, WorkloadState
from flagger.workloads.base import Sighting, SupersededError, TargetError
from flagger.workloads.revision import upstream_hash

KNATIVE_SERVICE = Kind("serving.knative.dev", "v1", "Service", "services")
KNATIVE_REVISION = Kind("serving.knative.dev", "v1", "Revision", "revisions")

PREVIOUS = f"{RELEASE_GROUP}/previous-primary-revision"
"""On a Knative Service: the revision that was the primary before the last promotion."""


class KnativeWorkload:
    """Knative scales by itself; a revision that is not ready may always get so."""

    kind = KNATIVE_SERVICE

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def revision_of(self, target: Object) -> str:
        """Upstream's hash of the newest revision's name."""
        return upstream_hash(_newest(target))

    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Whether the newest revision is ready, as the Knative Service tells it."""
        newest = _newest(workload)
        if newest and (workload.get("status") or {}).get("latestReadyRevisionName") == newest:
            return READY
        return Readiness(False, f"Knative Revision {newest}.{canary.namespace} is not ready")

    async def sight(self, canary: Canary, now: datetime) -> Sighting:
        """Look at both revisions."""
        target = await self._target(canary)
        newest, primary = _newest(target), annotations_of(target).get(KNATIVE_PRIMARY_REVISION, "")
        if not newest and canary.status.phase not in ACTIVE:
            raise TargetError(f"Knative Service {canary.target_name}.{canary.namespace} has no revision yet")
        return Sighting(
            target=await self._state(canary, newest),
            primary=await self._state(canary, primary) if primary else None,
        )

    async def ensure_primary(self, canary: Canary, *, refresh: bool) -> None:
        """Call the newest revision the primary if none is, and pin the traffic to it; `refresh` follows."""
        target = await self._target(canary)
        newest, primary = _newest(target), annotations_of(target).get(KNATIVE_PRIMARY_REVISION)
        if not newest or (primary and not refresh):
            return
        traffic = [{"latestRevision": True, "percent": 0}, {"revisionName": newest, "percent": 100}]
        if primary != newest or target["spec"].get("traffic") != traffic:
            await self._patch(target, {KNATIVE_PRIMARY_REVISION: newest}, {"traffic": traffic})

    async def scale_up(self, canary: Canary) -> None:
        """Knative scales by itself."""

    async def scale_down(self, canary: Canary) -> None:
        """Knative scales by itself."""

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str] | None) -> None:
        """Call the newest revision the primary; see `Workload.promote`."""
        target = await self._target(canary)
        newest, primary = _newest(target), annotations_of(target).get(KNATIVE_PRIMARY_REVISION)
        if upstream_hash(newest) != revision:
            raise SupersededError(f"{canary.target_name}.{canary.namespace} changed after its analysis")
        if primary != newest:
            await self._patch(target, {KNATIVE_PRIMARY_REVISION: newest, PREVIOUS: primary}, {})

    async def restore(self, canary: Canary) -> None:
        """Call the revision the primary again that was it before the last promotion."""
        target = await self._target(canary)
        previous = annotations_of(target).get(PREVIOUS)
        if previous:
            await self._patch(target, {KNATIVE_PRIMARY_REVISION: previous, PREVIOUS: None}, {})

    async def revert(self, canary: Canary) -> None:
        """What Knative serves is the router's to hand back."""

    async def _target(self, canary: Canary) -> Object:
        name, where = canary.target_name, f"{canary.target_name}.{canary.namespace}"
        try:
            target = await self._cluster.get(KNATIVE_SERVICE, canary.namespace, name)
        except KindMissing as error:
            text = f"Knative Service {where} can't be read: this cluster doesn't serve Knative; install it"
            raise TargetError(text) from error
        if target is None:
            missing = f'{KNATIVE_SERVICE.resource} "{name}" not found'
            raise TargetError(f"Knative Service {where} get query error: {missing}")
        return target

    async def _state(self, canary: Canary, name: str) -> WorkloadState:
        found = await self._cluster.get(KNATIVE_REVISION, canary.namespace, name) if name else None
        where = f"Knative Revision {name}.{canary.namespace}"
        readiness = READY
        if found is None:
            problem = f'{where} get query error: {KNATIVE_REVISION.resource} "{name}" not found'
            readiness = Readiness(False, problem)
        elif not _is_ready(found):
            readiness = Readiness(False, f"{where} is not ready")
        revision = upstream_hash(name)
        return WorkloadState(
            revision=revision, readiness=readiness, replicas=1, available=int(readiness.ready)
        )

    async def _patch(self, target: Object, annotations: Mapping[str, str | None], spec: Object) -> None:
        metadata = {"annotations": dict(annotations), "resourceVersion": resource_version_of(target)}
        name, namespace = target["metadata"]["name"], target["metadata"]["namespace"]
        await self._cluster.patch(KNATIVE_SERVICE, name, namespace, {"metadata": metadata, "spec": spec})


def _newest(target: Object) -> str:
    return str((target.get("status") or {}).get("latestCreatedRevisionName", ""))


def _is_ready(revision: Object) -> bool:
    conditions = (revision.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
