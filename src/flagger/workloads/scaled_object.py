"""KEDA's ScaledObjects: scaled by queries, which must ask about the primary instead of the canary.

Everything is copied as it is, so that settings which are unknown here survive.
"""

from __future__ import annotations

import copy
import re

from flagger.api.canary import Canary
from flagger.api.names import KEDA_PAUSED_REPLICAS
from flagger.kube.objects import Kind, Object, annotations_of, labels_of
from flagger.workloads.metadata import stripped

SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")

_OWN = ("scaledobject.keda.sh/name", KEDA_PAUSED_REPLICAS, "autoscaling.keda.sh/paused")
"""Labels and annotations that say something about the one object only."""


class Keda:
    """Would wake a parked target at once, so it is paused by an annotation meanwhile."""

    kinds: tuple[Kind, ...] = (SCALED_OBJECT,)
    noun = "Keda ScaledObject"
    minimum = "minReplicaCount"
    parked: tuple[str, str] | None = (KEDA_PAUSED_REPLICAS, "0")

    def spec(self, canary: Canary, source: Object) -> Object:
        """The settings of the primary's scaler: its own queries, and a name of its own for its autoscaler."""
        spec: Object = copy.deepcopy(source["spec"])
        spec["scaleTargetRef"]["name"] = canary.primary_name
        hpa = spec.setdefault("advanced", {}).setdefault("horizontalPodAutoscalerConfig", {})
        if hpa.get("name"):
            hpa["name"] = f"{hpa['name']}-primary"
        for trigger in spec.get("triggers") or ():
            _ask_about_primary(canary, trigger)
        return spec

    def metadata(self, source: Object) -> Object:
        """Labels and annotations, which say for instance that an autoscaler's ownership may be transferred."""
        kept = {}
        for name, entries in (("labels", labels_of(source)), ("annotations", annotations_of(source))):
            kept[name] = {key: value for key, value in stripped(entries).items() if key not in _OWN}
        return kept


def _ask_about_primary(canary: Canary, trigger: Object) -> None:
    metadata, reference = trigger.get("metadata") or {}, canary.spec.autoscaler_ref
    queries = reference.primary_scaler_queries if reference else None
    if queries is None:
        if "query" in metadata:
            metadata["query"] = primary_query(metadata["query"], canary.target_name)
    elif trigger.get("name") in queries:
        trigger["metadata"] = metadata | {"query": queries[trigger["name"]]}


def primary_query(query: str, target: str) -> str:
    """A query about the target or its canary as one about the primary.

    Only whole names count, also in front of a pattern (`checkout-.*`): neither `checkout-api` nor
    `checkout_total`, and `checkout-primary` stays what it is.
    """
    name = rf"(?<![\w-]){re.escape(target)}(-canary)?(?!\w|-[A-Za-z0-9])"
    return re.sub(name, f"{target}-primary", query)
