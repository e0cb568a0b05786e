"""The Node object: what this machine offers, where its kubelet listens, and its heartbeat (a Lease)."""

import asyncio
import os
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from flagger.kube.client import Client, PatchType
from flagger.kube.errors import AlreadyExists, KubeError, NotFound
from flagger.kube.objects import LEASE, NAMESPACE, NODE, Object
from flagger.sandbox.kubelet.status import stamp

HEARTBEAT = 10.0  # seconds between renewals of the lease
LEASE_SECONDS = 40
LEASES = "kube-node-lease"  # the namespace
VERSION = "v1.32.0-flagger"
PODS = 250
NOT_READY = "node.kubernetes.io/not-ready"

log = structlog.get_logger(__name__)


def capacity() -> dict[str, str]:
    """What the machine has, as quantities."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{memory // 1024}Ki", "pods": str(PODS)}


def node_object(name: str, pod_cidr: str) -> Object:
    """The node as it registers."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    labels = {"kubernetes.io/hostname": name}
    labels |= {"kubernetes.io/os": "linux", "kubernetes.io/arch": arch}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]},
    }


def node_status(name: str, address: str, port: int, now: datetime) -> Object:
    """The node's status: ready, at this address, with its kubelet at this port."""
    return {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "capacity": capacity(),
        "allocatable": capacity(),
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", now),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", now),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", now),
            condition("Ready", "True", "KubeletReady", now),
        ],
        "nodeInfo": node_info(),
    }


def condition(kind: str, status: str, reason: str, now: datetime) -> Object:
    """A condition of the node."""
    times = {"lastHeartbeatTime": stamp(now), "lastTransitionTime": stamp(now)}
    messages = {"Ready": "kubelet is posting ready status"}
    message = messages.get(kind, f"the sandbox does not watch for {kind}")
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def node_info() -> Mapping[str, str]:
    """What `kubectl describe node` says of the machine."""
    machine_id = Path("/etc/machine-id")
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "architecture": arch,
        "bootID": boot_id.read_text().strip() if boot_id.exists() else "",
        "containerRuntimeVersion": "flagger://processes",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": VERSION,
        "kubeletVersion": VERSION,
        "machineID": machine_id.read_text().strip() if machine_id.exists() else "",
        "operatingSystem": "linux",
        "osImage": "Flagger sandbox (local processes)",
        "systemUUID": "",
    }


async def register(client: Client, node: Object, status: Object) -> None:
    """Create the Node, or take over the one of an earlier life, and say that it is ready."""
    name = node["metadata"]["name"]
    try:
        known = await client.create(NODE, node)
    except AlreadyExists:
        known = await client.patch(NODE, name, None, {"metadata": {"labels": node["metadata"]["labels"]}})
    content = PatchType.STRATEGIC
    await client.patch(NODE, name, None, {"status": status}, subresource="status", content=content)
    taints = known.get("spec", {}).get("taints") or []
    kept = [taint for taint in taints if taint["key"] != NOT_READY]
    if kept != taints:  # a real server taints new nodes, and the controller that would clear them is not here
        await client.patch(NODE, name, None, {"spec": {"taints": kept or None}})


async def heartbeat(client: Client, name: str, now: Callable[[], datetime]) -> None:
    """Renew the node's lease until cancelled; a renewal that fails is made up for by the next one."""
    while True:
        try:
            await renew(client, name, now())
        except KubeError as error:
            log.warning("heartbeat failed", node=name, problem=str(error))
        await asyncio.sleep(HEARTBEAT)


async def renew(client: Client, name: str, now: datetime) -> None:
    """Write the time into the lease, creating what is missing."""
    spec = {
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    try:
        await client.patch(LEASE, name, LEASES, {"spec": spec})
    except NotFound:
        try:
            await client.create(NAMESPACE, {"metadata": {"name": LEASES}})
        except AlreadyExists:
            log.debug("lease namespace exists", namespace=LEASES)
        await client.create(LEASE, {"metadata": {"name": name, "namespace": LEASES}, "spec": spec})
