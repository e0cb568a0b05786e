"""A core Service as target: copies of it lead to what it selected at a promotion, and to what it selects now.

Pods are nobody's business here, so both sides always count as ready.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import datetime

from flagger.api.canary import Canary
from flagger.api.names import RELEASE_GROUP
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.objects import SERVICE, Object, annotations_of, labels_of, resource_version_of
from flagger.rollout.state import READY, Readiness, WorkloadState
from flagger.workloads.base import Sighting, SupersededError, TargetError
from flagger.workloads.metadata import stripped
from flagger.workloads.primary import PREVIOUS_REVISION, REVISION
from flagger.workloads.revision import hash_of

PREVIOUS_SPEC = f"{RELEASE_GROUP}/previous-spec"
"""On the primary Service: JSON of the spec that it had before the last promotion."""

_ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort", "loadBalancerIP")
"""What the server or its cloud gives to one Service, and no other can have."""

_HEADLESS = "None"


class ServiceWorkload:
    """`<target>-canary` follows the target on every tick, `<target>-primary` at promotions only."""

    kind = SERVICE

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def revision_of(self, target: Object) -> str:
        """The hash of the spec, without what the server has allocated."""
        return hash_of(_own(target["spec"]))

    def readiness(self, canary: Canary, workload: Object, now: datetime) -> Readiness:
        """Always ready."""
        return READY

    async def sight(self, canary: Canary, now: datetime) -> Sighting:
        """Look at target and primary; there is no selector, as no Services are made beside these."""
        target, primary = await self._target(canary), await self._get(canary, canary.primary_name)
        return Sighting(
            target=_state(self.revision_of(target)),
            primary=_state(annotations_of(primary).get(REVISION, "")) if primary else None,
        )

    async def ensure_primary(self, canary: Canary, *, refresh: bool) -> None:
        """Make what is missing; the canary's copy follows the target, with `refresh` also the primary's."""

        async def attempt() -> None:
            target = await self._target(canary)
            notes = {REVISION: self.revision_of(target)}
            await self._follow(canary, target, f"{canary.target_name}-canary", {})
            if refresh or await self._get(canary, canary.primary_name) is None:
                await self._follow(canary, target, canary.primary_name, notes)

        await retry_on_conflict(attempt)

    async def scale_up(self, canary: Canary) -> None:
        """Services have no size."""

    async def scale_down(self, canary: Canary) -> None:
        """Services have no size."""

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str] | None) -> None:
        """The primary's copy gets the target's spec; see `Workload.promote`."""

        async def attempt() -> None:
            target, primary = await self._target(canary), await self._get(canary, canary.primary_name)
            if self.revision_of(target) != revision:
                raise SupersededError(f"{canary.target_name}.{canary.namespace} changed after its analysis")
            if primary is None:
                raise TargetError(f"service {canary.primary_name}.{canary.namespace} does not exist")
            known = annotations_of(primary)
            if known.get(REVISION) == revision:
                return
            notes = {
                REVISION: revision,
                PREVIOUS_REVISION: known.get(REVISION),
                PREVIOUS_SPEC: json.dumps(_own(primary["spec"]), sort_keys=True),
            }
            await self._follow(canary, target, canary.primary_name, notes)

        await retry_on_conflict(attempt)

    async def restore(self, canary: Canary) -> None:
        """Give the primary's copy the spec that it had before the last promotion."""
        primary = await self._get(canary, canary.primary_name)
        known = annotations_of(primary) if primary else {}
        if primary is None or PREVIOUS_SPEC not in known:
            return
        notes = {REVISION: known.get(PREVIOUS_REVISION), PREVIOUS_REVISION: None, PREVIOUS_SPEC: None}
        await self._write(primary, json.loads(known[PREVIOUS_SPEC]), {}, notes)

    async def revert(self, canary: Canary) -> None:
        """The target is as its owner left it."""

    async def _target(self, canary: Canary) -> Object:
        target = await self._get(canary, canary.target_name)
        if target is None:
            where = f"{canary.target_name}.{canary.namespace}"
            raise TargetError(f'service {where} get query error: services "{canary.target_name}" not found')
        return target

    async def _get(self, canary: Canary, name: str) -> Object | None:
        return await self._cluster.get(SERVICE, canary.namespace, name)

    async def _follow(
        self, canary: Canary, target: Object, name: str, notes: Mapping[str, str | None]
    ) -> None:
        """Make a copy lead where the target does; metadata of others on it stays."""
        spec = _own(target["spec"])
        if canary.spec.service.traffic_distribution:
            spec["trafficDistribution"] = canary.spec.service.traffic_distribution
        labels, annotations = stripped(labels_of(target)), {**stripped(annotations_of(target)), **notes}
        live = await self._get(canary, name)
        if live is not None:
            await self._write(live, spec, labels, annotations)
            return
        metadata = {
            "name": name,
            "namespace": canary.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [canary.owner_reference],
        }
        await self._cluster.create(SERVICE, {"metadata": metadata, "spec": spec})

    async def _write(
        self, live: Object, spec: Object, labels: Mapping[str, str], annotations: Mapping[str, str | None]
    ) -> None:
        allocated = {field: live["spec"][field] for field in _ALLOCATED if field in live["spec"]}
        wanted = {**spec, **allocated}
        if "ports" in spec:
            wanted["ports"] = _with_node_ports(spec["ports"], live["spec"].get("ports") or ())
        metadata = {
            "labels": {**labels_of(live), **labels},
            "annotations": {**annotations_of(live), **annotations},
        }
        before = {"labels": labels_of(live), "annotations": annotations_of(live)}
        patch = merge_patch(
            {"metadata": before, "spec": live["spec"]}, {"metadata": metadata, "spec": wanted}
        )
        if patch is not None:
            patch.setdefault("metadata", {})["resourceVersion"] = resource_version_of(live)
            name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
            await self._cluster.patch(SERVICE, name, namespace, patch)


def _state(revision: str) -> WorkloadState:
    return WorkloadState(revision=revision, readiness=READY, replicas=1, available=1)


def _own(spec: Object) -> Object:
    """A spec as its owner wrote it; that it is headless is the owner's doing too."""
    own = {field: copy.deepcopy(value) for field, value in spec.items() if field not in _ALLOCATED}
    if spec.get("clusterIP") == _HEADLESS:
        own["clusterIP"] = _HEADLESS
    for port in own.get("ports") or ():
        port.pop("nodePort", None)
    return own


def _with_node_ports(ports: list[Object], live: list[Object] | tuple[()]) -> list[Object]:
    """The ports with the node ports that the copy has been given."""
    given = {_port(port): port["nodePort"] for port in live if "nodePort" in port}
    return [port | ({"nodePort": given[_port(port)]} if _port(port) in given else {}) for port in ports]


def _port(port: Object) -> tuple[int, str]:
    return port["port"], port.get("protocol", "TCP")
