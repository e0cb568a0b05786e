"""A Deployment as target: parking is zero replicas."""

from __future__ import annotations

from datetime import datetime

from flagger.api.canary import Canary
from flagger.kube.objects import DEPLOYMENT, REPLICA_SET, Object, selector_of
from flagger.rollout.state import Readiness
from flagger.workloads.pods import PodWorkload
from flagger.workloads.primary import identity_of
from flagger.workloads.readiness import deployment_readiness
from flagger.workloads.scalers import working_size

_REPLICA_SET_LABEL = "pod-template-hash"


class DeploymentWorkload(PodWorkload):
    """Its primary is a second Deployment; what that ran before is in its ReplicaSets."""

    kind = DEPLOYMENT
    fields = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")

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

    def _size(self, workload: Object) -> tuple[int, int]:
        available = (workload.get("status") or {}).get("availableReplicas", 0)
        return workload["spec"].get("replicas", 1), available

    def _size_for(self, canary: Canary, target: Object, primary: Object | None) -> Object:
        """The target's size, at least one pod at first; later on it is an autoscaler's business if there is one."""
        replicas = target["spec"].get("replicas")
        if primary is None:
            return {"replicas": replicas or 1}
        return {"replicas": replicas} if canary.spec.autoscaler_ref is None and replicas else {}

    async def _former_template(self, primary: Object, identity: str) -> Object | None:
        labels = selector_of(primary["spec"]["selector"]["matchLabels"])
        found = await self._cluster.client.list(REPLICA_SET, primary["metadata"]["namespace"], labels=labels)
        for replica_set in found.items:
            template: Object = replica_set["spec"]["template"]
            if identity_of(template) == identity:
                template["metadata"].get("labels", {}).pop(_REPLICA_SET_LABEL, None)
                return template
        return None

    async def _resize(self, canary: Canary, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        await self._cluster.patch(DEPLOYMENT, canary.target_name, canary.namespace, body)
