"""HorizontalPodAutoscalers: they stand still by themselves while their target has no replicas."""

from __future__ import annotations

import copy

from flagger.api.canary import Canary
from flagger.kube.objects import HPA, Kind, Object, labels_of
from flagger.workloads.metadata import stripped

HPA_BETA = Kind("autoscaling", "v2beta2", HPA.kind, HPA.plural)
"""The same fields as `v2`, and all that Kubernetes before 1.23 serves."""

_COPIED = ("minReplicas", "maxReplicas", "metrics", "behavior")


class Hpa:
    """Follows metrics of the pods; versions of the API are tried in order."""

    kinds: tuple[Kind, ...] = (HPA, HPA_BETA)
    noun = HPA.kind
    minimum = "minReplicas"
    parked: tuple[str, str] | None = None

    def spec(self, canary: Canary, source: Object) -> Object:
        """The settings of the primary's autoscaler; one that the target's doesn't have is None."""
        spec = {field: copy.deepcopy(source["spec"].get(field)) for field in _COPIED}
        return spec | {"scaleTargetRef": {**source["spec"]["scaleTargetRef"], "name": canary.primary_name}}

    def metadata(self, source: Object) -> Object:
        """Labels, but no annotations."""
        return {"labels": stripped(labels_of(source))}
