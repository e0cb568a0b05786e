"""Makes the store a Service of the cluster: `prometheus.monitoring`, port 9090."""

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import AlreadyExists, Invalid, KindMissing
from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, SERVICE, Kind, Object, uid_of

log = structlog.get_logger(__name__)

SERVICE_NAME = "prometheus"
SERVICE_NAMESPACE = "monitoring"
SERVICE_PORT = 9090

ENDPOINTS_ANNOTATION = "sandbox.flagger.app/endpoints"
"""On a Service: where it leads, as `host:port`, for servers that refuse loopback addresses as endpoints."""

_MANAGER = "flagger-sandbox-metrics"
OLD_ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1beta1", "EndpointSlice", "endpointslices")
"""Of servers before 1.21; nobody but real controllers reads it."""


async def publish(client: Client, host: str, port: int) -> None:
    """Create or correct the namespace, the Service and its endpoints, which are `host:port`.

    Servers refuse loopback addresses in one or both kinds of endpoints, depending on their version; where
    both are refused, an annotation of the Service tells the data plane.

    Raises:
        KubeError: the server refused something else, or cannot be asked.
    """
    try:
        await client.create(NAMESPACE, {"metadata": {"name": SERVICE_NAMESPACE}})
    except AlreadyExists:
        log.debug("namespace exists", namespace=SERVICE_NAMESPACE)
    service = await client.apply(SERVICE, _service(), manager=_MANAGER)
    sliced = await _try(client, ENDPOINT_SLICE, _slice(service, host, port))
    listed = await _try(client, ENDPOINTS, _endpoints(host, port))
    if not (sliced or listed):
        await _try(client, OLD_ENDPOINT_SLICE, _slice(service, host, port))
        await client.apply(SERVICE, _service({ENDPOINTS_ANNOTATION: f"{host}:{port}"}), manager=_MANAGER)


async def _try(client: Client, kind: Kind, obj: Object) -> bool:
    try:
        await client.apply(kind, obj, manager=_MANAGER)
    except KindMissing:
        log.debug("no such endpoints here", kind=f"{kind.api_version} {kind.kind}")
        return False
    except Invalid as error:
        log.info("endpoints refused", kind=kind.kind, problem=str(error))
        return False
    return True


def _metadata(**more: object) -> Object:
    labels = {"app.kubernetes.io/name": SERVICE_NAME, "app.kubernetes.io/managed-by": _MANAGER}
    return {"name": SERVICE_NAME, "namespace": SERVICE_NAMESPACE, "labels": labels, **more}


def _service(annotations: dict[str, str] | None = None) -> Object:
    port = {"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": SERVICE_PORT}
    return {"metadata": _metadata(annotations=annotations or {}), "spec": {"ports": [port]}}


def _slice(service: Object, host: str, port: int) -> Object:
    owner = {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "name": SERVICE_NAME,
        "uid": uid_of(service),
    }
    metadata = _metadata(ownerReferences=[owner])
    metadata["labels"] |= {
        "kubernetes.io/service-name": SERVICE_NAME,
        "endpointslice.kubernetes.io/managed-by": _MANAGER,
    }
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def _endpoints(host: str, port: int) -> Object:
    metadata = _metadata()
    # There is a slice already; a cluster's own controller would make another one of this.
    metadata["labels"] |= {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": host}], "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}
    return {"metadata": metadata, "subsets": [subset]}
