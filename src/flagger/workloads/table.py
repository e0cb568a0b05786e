"""Target kind → workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

from flagger.api.canary import Canary
from flagger.kube.cluster import Cluster
from flagger.workloads.base import Options, Workload
from flagger.workloads.daemonset import DaemonSetWorkload
from flagger.workloads.deployment import DeploymentWorkload
from flagger.workloads.knative import KnativeWorkload
from flagger.workloads.service import ServiceWorkload

KNATIVE = "Knative Service"


def _fresh_identity() -> str:
    return str(uuid4())


class Workloads:
    """The workload of each kind of target, made once."""

    def __init__(
        self, cluster: Cluster, options: Options, *, identity: Callable[[], str] = _fresh_identity
    ) -> None:
        self._by_kind: dict[str, Workload] = {
            "Deployment": DeploymentWorkload(cluster, options, identity),
            "DaemonSet": DaemonSetWorkload(cluster, options, identity),
            "Service": ServiceWorkload(cluster),
            KNATIVE: KnativeWorkload(cluster),
        }

    def __iter__(self) -> Iterator[Workload]:
        return iter(self._by_kind.values())

    def of(self, canary: Canary) -> Workload | None:
        """The workload of a Canary's target; None for a kind that is not supported."""
        target = canary.spec.target_ref
        return self._by_kind.get(KNATIVE if target.is_knative else target.kind)
