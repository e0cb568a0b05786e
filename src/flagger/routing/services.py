"""The three Services of a Canary: apex and primary lead to the primary's pods, canary to the target's.

They don't change during a run; the apex moves to the primary once, when that is ready for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.api.service import CustomMetadata
from flagger.kube.apply import merge_patch, retry_on_conflict
from flagger.kube.cluster import Cluster
from flagger.kube.objects import SERVICE, Object, annotations_of, labels_of, resource_version_of
from flagger.rollout.state import Selector
from flagger.routing.overlay import overlay


class Services:
    """Creates the Services and corrects ports, selector and declared metadata; all else is left alone."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def backends(self, canary: Canary, selector: Selector, ports: Mapping[str, int]) -> None:
        """The canary and the primary Service; `ports` are published beside the main one."""
        names, service = canary.service_names, canary.spec.service
        each = (
            (names.canary, selector.value, service.canary),
            (names.primary, selector.primary, service.primary),
        )
        for name, pods, custom in each:
            spec = _spec(canary, {selector.label: pods}, ports)
            await self._ensure(_service(canary, {selector.label: name}, spec, custom), canary)

    async def apex(self, canary: Canary, selector: Selector, ports: Mapping[str, int]) -> None:
        """The Service that users know, leading to the primary."""
        label = {selector.label: canary.service_names.apex}
        spec = _spec(canary, {selector.label: selector.primary}, ports)
        await self._ensure(_service(canary, label, spec, canary.spec.service.apex), canary)

    async def _ensure(self, desired: Object, canary: Canary) -> None:
        name = desired["metadata"]["name"]

        async def attempt() -> None:
            live = await self._cluster.get(SERVICE, canary.namespace, name)
            if live is None:
                await self._cluster.create(SERVICE, desired)
                return
            patch = merge_patch(live, _corrected(live, desired, canary))
            if patch is not None:
                patch.setdefault("metadata", {})["resourceVersion"] = resource_version_of(live)
                await self._cluster.patch(SERVICE, name, canary.namespace, patch)

        await retry_on_conflict(attempt)


def _spec(canary: Canary, pods: Mapping[str, str], ports: Mapping[str, int]) -> Object:
    service = canary.spec.service
    spec: Object = {"type": "ClusterIP", "selector": dict(pods), "ports": _ports(canary, ports)}
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    return spec


def _service(canary: Canary, label: Mapping[str, str], spec: Object, custom: CustomMetadata | None) -> Object:
    """A Service named as its label says."""
    (name,) = label.values()
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": {**(custom.labels if custom else {}), **label},
            "annotations": {**(custom.annotations if custom else {}), **GITOPS_IGNORE},
            "ownerReferences": [canary.owner_reference],
        },
        "spec": spec,
    }


def _ports(canary: Canary, discovered: Mapping[str, int]) -> list[Object]:
    main: Object = {
        "name": canary.port_name,
        "port": canary.spec.service.port,
        "protocol": "TCP",
        "targetPort": canary.target_port,
    }
    if canary.spec.service.app_protocol:
        main["appProtocol"] = canary.spec.service.app_protocol
    more = sorted(discovered.items(), key=lambda item: item[1])
    return [main] + [
        {"name": name, "port": port, "protocol": "TCP", "targetPort": port} for name, port in more
    ]


def _corrected(live: Object, desired: Object, canary: Canary) -> Object:
    """The live Service with our selector and ports, and our metadata too if it is ours.

    A Service that was there before us keeps its labels, type and everything else.
    """
    after = {**live, "spec": {**live["spec"], "selector": desired["spec"]["selector"]}}
    ports = _with_node_ports(live["spec"].get("ports") or [], desired["spec"]["ports"])
    if _sorted(live["spec"].get("ports") or []) != _sorted(ports):
        after["spec"]["ports"] = ports
    if not _is_ours(live, canary):
        touched = after["spec"] != live["spec"]
        wanted: Object = {"annotations": GITOPS_IGNORE} if touched else {}
    else:
        wanted = {"labels": desired["metadata"]["labels"], "annotations": desired["metadata"]["annotations"]}
        wanted = _managed(wanted, live, canary)
    return {**after, "metadata": overlay(live["metadata"], wanted)}


def _managed(wanted: Object, live: Object, canary: Canary) -> Object:
    """The metadata to set, without the keys whose live values the Canary leaves to others."""
    unmanaged = canary.spec.service.unmanaged_metadata
    if unmanaged is None:
        return wanted
    left_alone = {
        "labels": set(unmanaged.labels) & labels_of(live).keys(),
        "annotations": set(unmanaged.annotations) & annotations_of(live).keys(),
    }
    return {
        part: {key: value for key, value in values.items() if key not in left_alone[part]}
        for part, values in wanted.items()
    }


def _with_node_ports(live: list[Object], desired: list[Object]) -> list[Object]:
    """The desired ports, each with the node port of the live port of the same name."""
    known = {port.get("name"): port["nodePort"] for port in live if port.get("nodePort")}
    return [{**port, "nodePort": known[port["name"]]} if port["name"] in known else port for port in desired]


def _sorted(ports: list[Object]) -> list[Object]:
    return sorted(ports, key=lambda port: (port["port"], str(port.get("name"))))


def _is_ours(live: Object, canary: Canary) -> bool:
    references = live["metadata"].get("ownerReferences") or ()
    return any(
        reference.get("controller") and reference["kind"] == "Canary" and reference["name"] == canary.name
        for reference in references
    )
