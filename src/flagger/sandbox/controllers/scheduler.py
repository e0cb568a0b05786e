"""Scheduling: a node for each pod that has none yet."""

from collections.abc import Iterable, Sequence

import msgspec

from flagger.kube.client import PatchType
from flagger.kube.errors import Conflict
from flagger.kube.objects import (
    NODE,
    POD,
    Kind,
    Object,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import ByNamespace
from flagger.sandbox.controllers.pods import condition_of, stamp
from flagger.sandbox.controllers.selectors import OPERATORS, has_all

NAME = "default-scheduler"
UNREADY_TAINTS = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
"""Say what the Ready condition says, too, and stay when no node lifecycle controller takes them away."""
RETRY = 0.2  # seconds after which a pod that was bound is looked at again, should the cache not know yet


class Scheduler:
    """Binds pods to the first node that suits them; capacity is not counted."""

    kinds: Sequence[Kind] = (POD, NODE)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._pods = ByNamespace(context.cluster, POD)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """A pod without a node; all of them when a node has changed in what matters to them."""
        if kind == POD:
            return [key_of(new)] if new is not None and is_waiting(new) else []
        if old is not None and new is not None and suitability(old) == suitability(new):
            return []
        return [key_of(pod) for pod in self._pods.all() if is_waiting(pod)]

    async def reconcile(self, key: str) -> float | None:
        """Bind a pod, or say why that is not possible."""
        namespace, _, name = key.partition("/")
        pod = await self._cluster.get(POD, namespace, name)
        if pod is None or not is_waiting(pod):
            return None
        nodes = sorted(await self._cluster.list(NODE), key=name_of)
        node = next((node for node in nodes if suits(pod, node)), None)
        if node is None:
            await self._refuse(pod, len(nodes))
        else:
            await self._bind(pod, name_of(node))
        return None

    async def _bind(self, pod: Object, node: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = POD.path(namespace_of(pod), name_of(pod), "binding")
        headers = {"Content-Type": "application/json"}
        try:
            await self._cluster.client.raw("POST", path, body=msgspec.json.encode(body), headers=headers)
        except Conflict:
            return  # it has a node already; the cache will know in a moment
        text = f"Successfully assigned {key_of(pod)} to {node}"
        self._context.recorder.record(POD, pod, "Scheduled", text)

    async def _refuse(self, pod: Object, nodes: int) -> None:
        """Say in the pod's condition that no node suits it."""
        text = f"0/{nodes} nodes are available: {nodes} node(s) didn't match Pod's node affinity/selector or taints."
        if nodes == 0:
            text = "no nodes available to schedule pods"
        known = condition_of(pod, "PodScheduled")
        if known is not None and known.get("message") == text:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
        condition["lastTransitionTime"] = stamp(self._context.now())
        body = {"status": {"conditions": [condition]}}
        name, namespace = name_of(pod), namespace_of(pod)
        content = PatchType.STRATEGIC
        await self._cluster.patch(POD, name, namespace, body, subresource="status", content=content)
        self._context.recorder.record(POD, pod, "FailedScheduling", text, warning=True)


def is_waiting(pod: Object) -> bool:
    """Does a pod wait for a node from this scheduler?"""
    spec = pod["spec"]
    ours = spec.get("schedulerName", NAME) == NAME and not spec.get("schedulingGates")
    return ours and not spec.get("nodeName") and not is_terminating(pod)


def suitability(node: Object) -> tuple[object, ...]:
    """What of a node matters to scheduling."""
    ready = condition_of(node, "Ready")
    spec = node.get("spec", {})
    return labels_of(node), spec.get("taints"), spec.get("unschedulable"), ready and ready["status"]


def suits(pod: Object, node: Object) -> bool:
    """May a pod run on a node now?"""
    ready = condition_of(node, "Ready")
    if ready is None or ready["status"] != "True" or node.get("spec", {}).get("unschedulable"):
        return False
    return is_eligible(pod["spec"], node)


def is_eligible(spec: Object, node: Object) -> bool:
    """Does a pod's selector, affinity and tolerations allow a node?"""
    if not has_all(spec.get("nodeSelector") or {}, labels_of(node)):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or ()
    if terms and not any(term_matches(term, node) for term in terms):
        return False
    taints = [
        taint
        for taint in node.get("spec", {}).get("taints") or ()
        if taint.get("effect") in {"NoSchedule", "NoExecute"} and taint["key"] not in UNREADY_TAINTS
    ]
    return all(any(tolerates(each, taint) for each in spec.get("tolerations") or ()) for taint in taints)


def term_matches(term: Object, node: Object) -> bool:
    """Does a node fulfil one term of a node affinity?"""
    labels, fields = labels_of(node), {"metadata.name": name_of(node)}
    verdicts = [fulfils(entry, labels.get(entry["key"])) for entry in term.get("matchExpressions") or ()]
    verdicts += [fulfils(entry, fields.get(entry["key"])) for entry in term.get("matchFields") or ()]
    return bool(verdicts) and all(verdicts)


def fulfils(expression: Object, value: str | None) -> bool:
    """Does a value fulfil one expression of a node affinity?"""
    operator, values = expression["operator"], list(expression.get("values") or ())
    if operator in {"Gt", "Lt"}:
        if value is None or not value.isdecimal() or not values:
            return False
        difference = int(value) - int(values[0])
        return difference > 0 if operator == "Gt" else difference < 0
    return OPERATORS[operator](value, values)


def tolerates(toleration: Object, taint: Object) -> bool:
    """Does a toleration cover a taint?"""
    if toleration.get("effect") not in {None, "", taint.get("effect")}:
        return False
    if toleration.get("key") not in {None, "", taint["key"]}:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("value", "") == taint.get("value", ""))
