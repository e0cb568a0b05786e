"""HorizontalPodAutoscalers: Deployments follow the load of their pods, once a second.

Metrics of type Pods only, as pods report them. Unlike in a real cluster, scaling policies are not followed:
only the stabilization windows of `spec.behavior` slow it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from flagger.kube.apply import merge_patch
from flagger.kube.objects import (
    DEPLOYMENT,
    HPA,
    POD,
    Kind,
    Object,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from flagger.sandbox.controllers.autoscaling import (
    UnsupportedMetricError,
    Wish,
    bounded,
    longest_window,
    proposed,
    stabilized,
    targets_of,
)
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.pods import is_active, is_ready, stamp
from flagger.sandbox.controllers.readings import Readings
from flagger.sandbox.controllers.selectors import matches

PERIOD = 1.0  # seconds between two looks; a real cluster takes 15


class Autoscalers:
    """Sizes what HorizontalPodAutoscalers point at."""

    kinds: Sequence[Kind] = (HPA, DEPLOYMENT, POD)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._readings: dict[str, Readings] = {}
        self._wishes: dict[str, list[Wish]] = {}

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The autoscaler itself when its settings change; its target is looked at anyway, all the time."""
        if kind != HPA or (old is not None and new is not None and old["spec"] == new["spec"]):
            return ()
        return {key_of(obj) for obj in (old, new) if obj}

    async def reconcile(self, key: str) -> float | None:
        """Give the target the size that its load asks for, and say so; seconds until the next look."""
        namespace, _, name = key.partition("/")
        autoscaler = await self._cluster.get(HPA, namespace, name)
        if autoscaler is None:
            self._readings.pop(key, None)
            self._wishes.pop(key, None)
            return None
        reference = autoscaler["spec"]["scaleTargetRef"]
        target = None
        if reference["kind"] == DEPLOYMENT.kind:
            target = await self._cluster.get(DEPLOYMENT, namespace, reference["name"])
        if target is None:
            text = f"no {reference['kind']} {reference['name']} that can be scaled"
            await self._tell(autoscaler, {}, "AbleToScale", "FailedGetScale", text)
        elif target["spec"].get("replicas", 1) == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            await self._tell(autoscaler, _sizes(0, 0), "ScalingActive", "ScalingDisabled", text)
        else:
            await self._size(key, autoscaler, target)
        return PERIOD

    async def _size(self, key: str, autoscaler: Object, target: Object) -> None:
        current, now = target["spec"].get("replicas", 1), self._context.now()
        problem = ""
        try:
            wanted = await self._wanted(key, autoscaler, target)
        except UnsupportedMetricError as error:
            wanted, problem = current, str(error)
        wishes = [w for w in self._wishes.get(key, ()) if w.when >= now - longest_window(autoscaler)]
        self._wishes[key] = [*wishes, Wish(now, wanted)]
        desired = bounded(autoscaler, stabilized(autoscaler, current, self._wishes[key], now))
        if desired != current:
            body = {"spec": {"replicas": desired}}
            await self._cluster.patch(
                DEPLOYMENT, name_of(target), namespace_of(target), body, subresource="scale"
            )
            self._context.recorder.record(HPA, autoscaler, "SuccessfulRescale", f"New size: {desired}")
        if problem:
            await self._tell(
                autoscaler, _sizes(current, desired), "ScalingActive", "FailedGetPodsMetric", problem
            )
        else:
            await self._tell(autoscaler, _sizes(current, desired), "ScalingActive", "ValidMetricFound")

    async def _wanted(self, key: str, autoscaler: Object, target: Object) -> int:
        """The greatest size that one of the metrics asks for."""
        targets, current = targets_of(autoscaler), target["spec"].get("replicas", 1)
        pods = [
            pod
            for pod in await self._cluster.list(POD, namespace_of(target))
            if is_active(pod) and matches(target["spec"]["selector"], labels_of(pod))
        ]
        ready = [pod for pod in pods if is_ready(pod)]
        readings = self._readings.setdefault(key, Readings())
        readings.keep(pods)
        sizes = []
        for each in targets:
            values = await readings.of(ready, each.metric)
            sizes.append(proposed(current, values, len(pods) - len(values), each.average))
        return max(sizes, default=current)

    async def _tell(self, autoscaler: Object, sizes: Object, kind: str, reason: str, text: str = "") -> None:
        """Write the status, if it changes."""
        known = autoscaler.get("status") or {}
        good = reason == "ValidMetricFound"
        condition = {"type": kind, "status": "True" if good else "False", "reason": reason, "message": text}
        condition["lastTransitionTime"] = _since(known, condition, self._context.now())
        status = {**known, **sizes, "conditions": [condition]}
        patch = merge_patch(known, status)
        if patch is not None:
            name, namespace = name_of(autoscaler), namespace_of(autoscaler)
            await self._cluster.patch(HPA, name, namespace, {"status": patch}, subresource="status")


def _sizes(current: int, desired: int) -> Object:
    return {"currentReplicas": current, "desiredReplicas": desired}


def _since(status: Object, condition: Object, now: datetime) -> str:
    for known in status.get("conditions") or ():
        if (known["type"], known["status"]) == (condition["type"], condition["status"]):
            return str(known.get("lastTransitionTime") or stamp(now))
    return stamp(now)
