"""Names of Services for a process outside the cluster, from the Service and EndpointSlice objects themselves.

For aiohttp: `TCPConnector(resolver=ServiceResolver(cluster))`. Every other name is the system's business. It
gives addresses only; that they can be reached from here is up to the network.
"""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from flagger.kube.cluster import Cluster
from flagger.kube.errors import KindMissing, KubeError
from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, SERVICE, Object, name_of

CLUSTER_DOMAIN = "cluster.local"
SLICE_OF = "kubernetes.io/service-name"  # the label that ties an EndpointSlice to its Service


class ServiceResolver(AbstractResolver):
    """Answers `name.namespace`, `name.namespace.svc` and `name.namespace.svc.cluster.local`."""

    def __init__(self, cluster: Cluster, *, domain: str = CLUSTER_DOMAIN) -> None:
        self._cluster = cluster
        self._domain = domain
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a Service, or what the system says.

        Raises:
            OSError: nobody knows the name, or a Service has no ready endpoint.
        """
        parsed = self._parse(host)
        service = await self._service(*parsed) if parsed else None
        if service is None:
            return await self._system.resolve(host, port, family)
        if service["spec"].get("type") == "ExternalName":
            return await self._system.resolve(service["spec"].get("externalName", ""), port, family)
        found = [result(host, address, port) for address in await self._addresses(service)]
        fitting = [entry for entry in found if family in {socket.AF_UNSPEC, entry["family"]}]
        if not fitting:
            raise OSError(socket.EAI_NONAME, f"Service {host} has no address (no ready endpoint)")
        return fitting

    async def close(self) -> None:
        """Nothing to release but the system's resolver."""
        await self._system.close()

    def _parse(self, host: str) -> tuple[str, str] | None:
        """Namespace and name, if the host has the form of a Service's name."""
        labels = host.rstrip(".").removesuffix(f".svc.{self._domain}").removesuffix(".svc").split(".")
        return (labels[1], labels[0]) if len(labels) == 2 else None

    async def _service(self, namespace: str, name: str) -> Object | None:
        try:
            return await self._cluster.get(SERVICE, namespace, name)
        except KubeError:  # without an API server, names outside the cluster still resolve
            return None

    async def _addresses(self, service: Object) -> Sequence[str]:
        addresses = service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]
        if addresses != ["None"]:
            return [address for address in addresses if address]
        namespace, name = service["metadata"]["namespace"], name_of(service)
        try:
            slices = await self._cluster.list(ENDPOINT_SLICE, namespace, labels={SLICE_OF: name})
        except KindMissing:  # before Kubernetes 1.21
            endpoints = await self._cluster.get(ENDPOINTS, namespace, name) or {}
            subsets = endpoints.get("subsets") or ()
            return [entry["ip"] for subset in subsets for entry in subset.get("addresses") or ()]
        ready = [entry for part in slices for entry in part.get("endpoints") or () if is_ready(entry)]
        return sorted({address for entry in ready for address in entry.get("addresses") or ()})


def is_ready(endpoint: Object) -> bool:
    """Is the endpoint to get traffic? Unknown counts as yes, as the API says."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def result(host: str, address: str, port: int) -> ResolveResult:
    """One answer in aiohttp's form."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
