"""Target kind → workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

from flagger.api.canary import Canary
from flagger.kube.cluster import Cluster
from flagger.workloads.base import Options, Workload
from flagger.workloads.daemonset import DaemonSetWorkload
from flagger.workloads.deployment import DeploymentWorkload


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
        }

    def __iter__(self) -> Iterator[Workload]:
        return iter(self._by_kind.values())

    def of(self, canary: Canary) -> Workload | None:
        """The workload of a Canary's target; None for a kind that is not supported."""
        return self._by_kind.get(canary.spec.target_ref.kind)
