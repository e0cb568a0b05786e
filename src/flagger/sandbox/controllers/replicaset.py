"""ReplicaSets: as many pods as asked for."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flagger.kube.apply import merge_patch
from flagger.kube.errors import KubeError
from flagger.kube.objects import (
    POD,
    REPLICA_SET,
    Kind,
    Object,
    annotations_of,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
)
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import ByNamespace, Owned, controller_of, owner_keys
from flagger.sandbox.controllers.pods import (
    available_in,
    delete_pods,
    is_active,
    is_ready,
    phase_of,
    pod_from,
    ready_since,
    stamp,
)
from flagger.sandbox.controllers.selectors import has_all, matches

BURST = 500  # pods created or deleted in one pass
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSets:
    """Creates and deletes pods, adopts and releases them, counts them."""

    kinds: Sequence[Kind] = (REPLICA_SET, POD)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._pods = Owned(context.cluster, POD)
        self._sets = ByNamespace(context.cluster, REPLICA_SET)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The set itself; for a pod its owner, or those that might adopt it."""
        if kind == REPLICA_SET:
            return {key_of(obj) for obj in (old, new) if obj}
        found = owner_keys(REPLICA_SET, old, new)
        if new is not None and controller_of(new) is None:
            for owner in self._sets.of(namespace_of(new)):
                if matches(owner["spec"]["selector"], labels_of(new)):
                    found.add(key_of(owner))
        return found

    async def reconcile(self, key: str) -> float | None:
        """Bring the number of pods to what is asked for, and say how many there are."""
        namespace, _, name = key.partition("/")
        owner = await self._cluster.get(REPLICA_SET, namespace, name)
        if owner is None:
            return None
        active = [pod for pod in await self._pods.claim(REPLICA_SET, owner) if is_active(pod)]
        failure = None if is_terminating(owner) else await self._manage(owner, active)
        now = self._context.now()
        await self._write_status(owner, status_of(owner, active, failure, now))
        if failure is not None:
            raise failure
        waits = [available_in(pod, owner["spec"].get("minReadySeconds", 0), now) for pod in active]
        return min((wait for wait in waits if wait), default=None)

    async def _manage(self, owner: Object, active: Sequence[Object]) -> KubeError | None:
        """Create what is missing, delete what is too much; the error that kept it from doing so."""
        missing = owner["spec"].get("replicas", 1) - len(active)
        if missing > 0:
            return await self._create(owner, min(missing, BURST))
        doomed = sorted(active, key=lambda pod: worth(pod, self._context.now()))[: min(-missing, BURST)]
        for pod in doomed:
            await delete_pods(self._cluster, [pod])
            self._context.recorder.record(
                REPLICA_SET, owner, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"
            )
        return None

    async def _create(self, owner: Object, count: int) -> KubeError | None:
        """Create pods, first one, then twice as many each time: a refusal is met once, not `count` times."""
        batch = 1
        while count > 0:
            size = min(batch, count)
            results = await asyncio.gather(*(self._create_one(owner) for _ in range(size)))
            failure = next((result for result in results if result is not None), None)
            if failure is not None:
                return failure
            count, batch = count - size, batch * 2
        return None

    async def _create_one(self, owner: Object) -> KubeError | None:
        record = self._context.recorder.record
        try:
            pod = await self._cluster.create(POD, pod_from(owner["spec"]["template"], REPLICA_SET, owner))
        except KubeError as error:
            if is_namespace_going(error):
                return None
            record(REPLICA_SET, owner, "FailedCreate", f"Error creating: {error.message}", warning=True)
            return error
        record(REPLICA_SET, owner, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
        return None

    async def _write_status(self, owner: Object, status: Object) -> None:
        patch = merge_patch(owner.get("status") or {}, status)
        if patch is not None:
            body = {"metadata": {"resourceVersion": resource_version_of(owner)}, "status": patch}
            name, namespace = name_of(owner), namespace_of(owner)
            await self._cluster.patch(REPLICA_SET, name, namespace, body, subresource="status")


def is_namespace_going(error: KubeError) -> bool:
    """Was something refused because its namespace is being deleted? Then there is nothing to do about it."""
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.details.get("causes") or ())


def worth(pod: Object, now: datetime) -> tuple[Any, ...]:
    """Sorts the pods that are to be deleted first to the front."""
    since = ready_since(pod)
    restarts = sum(c.get("restartCount", 0) for c in pod.get("status", {}).get("containerStatuses") or ())
    return (
        bool(pod["spec"].get("nodeName")),
        phase_of(pod) != "Pending",
        since is not None,
        deletion_cost(pod),
        (now - since).total_seconds() if since else 0.0,
        -restarts,
        tuple(-ord(letter) for letter in pod["metadata"].get("creationTimestamp", "")),
    )


def deletion_cost(pod: Object) -> int:
    """What a user says that it costs to delete this pod rather than another; 0 unless it is a number."""
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def status_of(owner: Object, active: Sequence[Object], failure: KubeError | None, now: datetime) -> Object:
    """The set's status; counters that are zero are absent, but for `replicas`."""
    wanted = owner["spec"]["template"].get("metadata", {}).get("labels") or {}
    seconds = owner["spec"].get("minReadySeconds", 0)
    counters = {
        "fullyLabeledReplicas": sum(has_all(wanted, labels_of(pod)) for pod in active),
        "readyReplicas": sum(is_ready(pod) for pod in active),
        "availableReplicas": sum(available_in(pod, seconds, now) == 0 for pod in active),
    }
    status: Object = {"replicas": len(active), "observedGeneration": owner["metadata"].get("generation", 1)}
    status |= {name: count for name, count in counters.items() if count}
    others = [c for c in owner.get("status", {}).get("conditions") or () if c["type"] != "ReplicaFailure"]
    conditions = others + ([replica_failure(owner, failure, now)] if failure else [])
    return status | ({"conditions": conditions} if conditions else {})


def replica_failure(owner: Object, failure: KubeError, now: datetime) -> Object:
    """The condition of a set whose pods cannot be created."""
    known = owner.get("status", {}).get("conditions") or ()
    since = next((c["lastTransitionTime"] for c in known if c["type"] == "ReplicaFailure"), stamp(now))
    texts = {"reason": "FailedCreate", "message": failure.message}
    return {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": since, **texts}
