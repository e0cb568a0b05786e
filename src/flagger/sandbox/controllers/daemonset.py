"""DaemonSets: a pod on each node that suits, renewed a few at a time. Surging above one pod per node is not done."""

from collections.abc import Iterable, Sequence
from typing import Any

from flagger.kube.apply import merge_patch
from flagger.kube.errors import AlreadyExists
from flagger.kube.objects import (
    DAEMON_SET,
    NODE,
    POD,
    Kind,
    Object,
    annotations_of,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    resource_version_of,
)
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import ByNamespace, Owned, owner_keys
from flagger.sandbox.controllers.pods import (
    available_in,
    delete_pods,
    is_active,
    is_ready,
    phase_of,
    pod_from,
)
from flagger.sandbox.controllers.scheduler import is_eligible, suitability
from flagger.sandbox.controllers.sizes import resolve
from flagger.sandbox.controllers.template import template_hash

CONTROLLER_REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
HASH = "controller-revision-hash"
GENERATION = "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSets:
    """Creates and deletes the pods of DaemonSets, and renews them."""

    kinds: Sequence[Kind] = (DAEMON_SET, POD, NODE, CONTROLLER_REVISION)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._sets = ByNamespace(context.cluster, DAEMON_SET)
        self._pods = Owned(context.cluster, POD)
        self._revisions = Owned(context.cluster, CONTROLLER_REVISION)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The set itself, the owner of a pod; all when a node has changed in what matters to them."""
        if kind == DAEMON_SET:
            return {key_of(obj) for obj in (old, new) if obj}
        if kind == NODE:
            if old is not None and new is not None and suitability(old) == suitability(new):
                return ()
            return [key_of(obj) for obj in self._sets.all()]
        return owner_keys(DAEMON_SET, old, new)

    async def reconcile(self, key: str) -> float | None:
        """Bring pods to where they belong, renew old ones, and say how many there are."""
        namespace, _, name = key.partition("/")
        owner = await self._cluster.get(DAEMON_SET, namespace, name)
        if owner is None:
            return None
        claimed = await self._pods.claim(DAEMON_SET, owner)
        active = [pod for pod in claimed if is_active(pod)]
        nodes = await self._cluster.list(NODE)
        eligible = [name_of(node) for node in nodes if runs_on(owner, node)]
        revision = template_hash(owner["spec"]["template"], owner.get("status", {}).get("collisionCount", 0))
        await self._write_status(owner, self._status(owner, active, eligible, revision))
        if not is_terminating(owner):
            await self._keep_revision(owner, revision)
            await self._place(owner, claimed, eligible, revision)
            await self._renew(owner, active, eligible, revision)
        seconds = owner["spec"].get("minReadySeconds", 0)
        waits = [available_in(pod, seconds, self._context.now()) for pod in active]
        return min((wait for wait in waits if wait), default=None)

    async def _place(
        self, owner: Object, pods: Sequence[Object], eligible: Sequence[str], revision: str
    ) -> None:
        """One pod on each eligible node, none elsewhere; on a node, the next comes when the last has gone."""
        by_node: dict[str, list[Object]] = {}
        for pod in pods:
            by_node.setdefault(node_of(pod), []).append(pod)
        for node, present in by_node.items():
            finished = [pod for pod in present if phase_of(pod) in {"Failed", "Succeeded"}]
            active = sorted((pod for pod in present if is_active(pod)), key=age)
            await self._delete(owner, [*finished, *(active[1:] if node in eligible else active)])
        for node in eligible:
            if not by_node.get(node):
                await self._create(owner, node, revision)

    async def _create(self, owner: Object, node: str, revision: str) -> None:
        pod = await self._cluster.create(POD, daemon_pod(owner, node, revision))
        self._context.recorder.record(DAEMON_SET, owner, "SuccessfulCreate", f"Created pod: {name_of(pod)}")

    async def _delete(self, owner: Object, pods: Sequence[Object]) -> None:
        doomed = [pod for pod in pods if not is_terminating(pod)]
        await delete_pods(self._cluster, doomed)
        for pod in doomed:
            self._context.recorder.record(
                DAEMON_SET, owner, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"
            )

    async def _renew(
        self, owner: Object, active: Sequence[Object], eligible: Sequence[str], revision: str
    ) -> None:
        """Delete old pods: all that are not available anyway, and others while enough remain."""
        strategy = owner["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        given = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
        allowed = max(1, resolve(given, len(eligible), up=True))
        here = [pod for pod in active if node_of(pod) in eligible]
        available = {name_of(pod) for pod in here if self._is_available(owner, pod)}
        old = [pod for pod in here if labels_of(pod).get(HASH) != revision]
        spare = allowed - (len(eligible) - len(available))
        down = [pod for pod in old if name_of(pod) not in available]
        up = sorted((pod for pod in old if name_of(pod) in available), key=age)
        await self._delete(owner, [*down, *up[: max(0, spare)]])

    def _is_available(self, owner: Object, pod: Object) -> bool:
        return available_in(pod, owner["spec"].get("minReadySeconds", 0), self._context.now()) == 0

    def _status(
        self, owner: Object, active: Sequence[Object], eligible: Sequence[str], revision: str
    ) -> Object:
        here = [pod for pod in active if node_of(pod) in eligible]
        available = sum(self._is_available(owner, pod) for pod in here)
        present = {node_of(pod) for pod in here}
        status: Object = {
            "currentNumberScheduled": len(present),
            "numberMisscheduled": len({node_of(pod) for pod in active} - set(eligible)),
            "desiredNumberScheduled": len(eligible),
            "numberReady": sum(is_ready(pod) for pod in here),
            "observedGeneration": owner["metadata"].get("generation", 1),
        }
        counters = {
            "updatedNumberScheduled": sum(labels_of(pod).get(HASH) == revision for pod in here),
            "numberAvailable": available,
            "numberUnavailable": len(eligible) - available,
        }
        return status | {name: count for name, count in counters.items() if count}

    async def _keep_revision(self, owner: Object, revision: str) -> None:
        """Have the template in the history, and no more of the history than is wanted."""
        name = f"{name_of(owner)}-{revision}"
        known = sorted(self._revisions.of(owner), key=lambda one: int(one.get("revision", 0)))
        if not any(name_of(one) == name for one in known):
            number = int(known[-1].get("revision", 0)) + 1 if known else 1
            template = {**owner["spec"]["template"], "$patch": "replace"}
            made = {
                "metadata": {
                    "name": name,
                    "namespace": namespace_of(owner),
                    "labels": {
                        **labels_of({"metadata": owner["spec"]["template"].get("metadata", {})}),
                        HASH: revision,
                    },
                    "ownerReferences": [owner_reference(DAEMON_SET, owner)],
                },
                "data": {"spec": {"template": template}},
                "revision": number,
            }
            try:
                await self._cluster.create(CONTROLLER_REVISION, made)
            except AlreadyExists:
                return
        used = {labels_of(pod).get(HASH) for pod in self._pods.of(owner)} | {revision}
        unused = [one for one in known if labels_of(one).get(HASH) not in used]
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        for one in unused[: max(0, len(unused) - limit)]:
            await self._cluster.delete(CONTROLLER_REVISION, name_of(one), namespace_of(one))

    async def _write_status(self, owner: Object, status: Object) -> None:
        kept = {key: value for key, value in (owner.get("status") or {}).items() if key == "collisionCount"}
        patch = merge_patch(owner.get("status") or {}, {**kept, **status})
        if patch is not None:
            body = {"metadata": {"resourceVersion": resource_version_of(owner)}, "status": patch}
            await self._cluster.patch(
                DAEMON_SET, name_of(owner), namespace_of(owner), body, subresource="status"
            )


def age(pod: Object) -> tuple[Any, ...]:
    """Sorts the oldest pods to the front."""
    return pod["metadata"].get("creationTimestamp", ""), name_of(pod)


def runs_on(owner: Object, node: Object) -> bool:
    """Does a set want a pod on a node?"""
    spec = owner["spec"]["template"]["spec"]
    return is_eligible({**spec, "tolerations": [*(spec.get("tolerations") or ()), *tolerations()]}, node)


def tolerations() -> list[Object]:
    """What pods of DaemonSets put up with."""
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in TOLERATED]


def daemon_pod(owner: Object, node: str, revision: str) -> Object:
    """A pod of the set for one node, which the scheduler is to find through the affinity."""
    pod = pod_from(owner["spec"]["template"], DAEMON_SET, owner)
    generation = annotations_of(owner).get(TEMPLATE_GENERATION, str(owner["metadata"].get("generation", 1)))
    pod["metadata"]["labels"] |= {HASH: revision, GENERATION: generation}
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    spec = pod["spec"]
    affinity = {
        **(spec.get("affinity") or {}),
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms},
    }
    pod["spec"] = {
        **spec,
        "affinity": affinity,
        "tolerations": [*(spec.get("tolerations") or ()), *tolerations()],
    }
    return pod


def node_of(pod: Object) -> str:
    """The node that a pod is on, or is meant for."""
    if node := pod["spec"].get("nodeName"):
        return str(node)
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""
