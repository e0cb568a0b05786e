"""A DaemonSet as target: it has no size, so it is parked by a node selector that no node matches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flagger.api.canary import Canary
from flagger.api.names import SCALE_TO_ZERO_SELECTOR
from flagger.kube.cluster import Cluster
from flagger.kube.objects import DAEMON_SET, Kind, Object, key_of, name_of, namespace_of, selector_of, uid_of
from flagger.rollout.state import Readiness
from flagger.workloads.base import Options
from flagger.workloads.pods import PodWorkload
from flagger.workloads.primary import identity_of
from flagger.workloads.readiness import daemonset_readiness

CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
_ROLLING = "RollingUpdate"


class DaemonSetWorkload(PodWorkload):
    """Its primary is a second DaemonSet; what that ran before is in its ControllerRevisions.

    The API doesn't say since when a DaemonSet lacks pods, so that is remembered here; a restart of the operator
    lengthens the wait at worst.
    """

    kind = DAEMON_SET
    fields = ("minReadySeconds", "revisionHistoryLimit", "updateStrategy")

    def __init__(self, cluster: Cluster, options: Options, identity: Callable[[], str]) -> None:
        super().__init__(cluster, options, identity)
        self._unready_since: dict[str, tuple[int, datetime]] = {}

    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Whether the target or the primary can serve.

        The deadline counts from when it was first seen unready in this generation, and never from before the
        run began.
        """
        analysis, name = canary.spec.analysis, name_of(workload)
        primary = name == canary.primary_name
        threshold = analysis.primary_ready_percent if primary else analysis.canary_ready_percent
        missing = daemonset_readiness(workload, threshold)
        if not missing:
            self._unready_since.pop(key_of(workload), None)
            return Readiness(ready=True)
        since = self._first_seen(workload, now)
        run = canary.status.run
        begun = max(since, run.started) if run is not None and run.started is not None else since
        who = f"{'primary' if primary else 'canary'} daemonset {name}.{canary.namespace} not ready: "
        if begun + canary.progress_deadline < now:
            seconds = int(canary.progress_deadline.total_seconds())
            return Readiness(False, f"{who}exceeded its progressDeadlineSeconds: {seconds}", terminal=True)
        return Readiness(False, who + missing)

    def _first_seen(self, workload: Object, now: datetime) -> datetime:
        key, generation = key_of(workload), workload["metadata"].get("generation", 0)
        known = self._unready_since.get(key)
        if known is None or known[0] != generation:
            known = self._unready_since[key] = (generation, now)
        return known[1]

    async def scale_up(self, canary: Canary) -> None:
        """Let the target's pods onto the nodes again."""
        target = await self._target(canary)
        if _is_parked(target):
            await self._select(canary, None)

    async def scale_down(self, canary: Canary) -> None:
        """Take the target's pods off all nodes."""
        target = await self._cluster.get(DAEMON_SET, canary.namespace, canary.target_name)
        if target is not None and not _is_parked(target):
            await self._select(canary, "true")

    async def revert(self, canary: Canary) -> None:
        """The target runs on its nodes again."""
        target = await self._cluster.get(DAEMON_SET, canary.namespace, canary.target_name)
        if target is not None and _is_parked(target):
            await self._select(canary, None)

    def _released(self, target: Object) -> Object:
        """Without the mark of parking; a selector that is empty then counts as absent."""
        spec = target["spec"]
        pod = spec["template"]["spec"]
        selector = {key: value for key, value in _selector(target).items() if key != SCALE_TO_ZERO_SELECTOR}
        bare = {key: value for key, value in pod.items() if key != "nodeSelector"}
        template = {**spec["template"], "spec": bare | ({"nodeSelector": selector} if selector else {})}
        return {**target, "spec": {**spec, "template": template}}

    def _objection(self, target: Object) -> str:
        strategy = (target["spec"].get("updateStrategy") or {}).get("type") or _ROLLING
        if strategy == _ROLLING:
            return ""
        name, namespace = name_of(target), namespace_of(target)
        return f"daemonset {name}.{namespace} must have {_ROLLING} strategy but have {strategy}"

    def _size(self, workload: Object) -> tuple[int, int]:
        status = workload.get("status") or {}
        wanted = 0 if _is_parked(workload) else max(1, status.get("desiredNumberScheduled", 0))
        return wanted, status.get("numberAvailable", 0)

    async def _former_template(self, primary: Object, identity: str) -> Object | None:
        labels = selector_of(primary["spec"]["selector"]["matchLabels"])
        namespace = namespace_of(primary)
        found = await self._cluster.client.list(CONTROLLER_REVISION, namespace, labels=labels)
        for revision in found.items:
            owners = revision["metadata"].get("ownerReferences") or ()
            template = (revision.get("data") or {}).get("spec", {}).get("template") or {}
            if identity_of(template) == identity and any(owner["uid"] == uid_of(primary) for owner in owners):
                return {key: value for key, value in template.items() if key != "$patch"}
        return None

    async def _select(self, canary: Canary, value: str | None) -> None:
        """Set or remove our entry of the node selector; the others stay."""
        selector = {"nodeSelector": {SCALE_TO_ZERO_SELECTOR: value}}
        body = {"spec": {"template": {"spec": selector}}}
        await self._cluster.patch(DAEMON_SET, canary.target_name, canary.namespace, body)


def _selector(daemonset: Object) -> dict[str, str]:
    return daemonset["spec"]["template"]["spec"].get("nodeSelector") or {}


def _is_parked(daemonset: Object) -> bool:
    return SCALE_TO_ZERO_SELECTOR in _selector(daemonset)
