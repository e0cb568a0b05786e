"""Services: every ClusterIP and port passes requests on to the Service's ready pods, as kube-proxy has it."""

from collections import Counter
from collections.abc import Iterator

from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE, Object, name_of, namespace_of
from flagger.sandbox.dataplane.endpoints import endpoints_of
from flagger.sandbox.dataplane.routes import (
    Cluster,
    HttpListener,
    Listener,
    TcpListener,
    VirtualHost,
    forward_to,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution

HTTP_1 = frozenset({"http", "ws", "kubernetes.io/ws", "grpc-web"})
HTTP_2 = frozenset({"http2", "h2c", "kubernetes.io/h2c", "grpc"})


class Services:
    """Core Services, headless ones as backends only; ports are TCP unless they say that they are HTTP."""

    needs = (SERVICE, POD)
    uses = (ENDPOINT_SLICE, ENDPOINTS)

    def translate(self, seen: Snapshot) -> Contribution:
        """A cluster for each port, and a listener for each port at one of our addresses."""
        services = [obj for obj in seen.all(SERVICE) if obj["spec"].get("type") != "ExternalName"]
        namesakes = Counter(name_of(service) for service in services)
        clusters: list[Cluster] = []
        listeners: list[Listener] = []
        for service in services:
            names = tuple(_names(service, unique=namesakes[name_of(service)] == 1))
            for port in tcp_ports(service):
                clusters.append(_cluster(service, port, seen))
                if seen.site.holds(service["spec"].get("clusterIP", "")):
                    listeners.append(_listener(service, port, seen, names))
        return Contribution(tuple(listeners), tuple(clusters))


def cluster_name(namespace: str, service: str, port: int) -> str:
    """`shop_checkout-canary_80`: what Envoy's metrics call the pods behind a Service port."""
    return f"{namespace}_{service}_{port}"


def listener_name(namespace: str, service: str, port: int) -> str:
    """What a Service port's own listener is called."""
    return f"service_{namespace}_{service}_{port}"


def tcp_ports(service: Object) -> list[Object]:
    """The ports of a Service that the data plane can serve."""
    return [port for port in service["spec"].get("ports") or [] if port.get("protocol", "TCP") == "TCP"]


def protocol_of(port: Object) -> str:
    """What a port speaks: its appProtocol, or else the first word of its name, as meshes have it."""
    if port.get("appProtocol"):
        return str(port["appProtocol"]).lower()
    name = str(port.get("name", "")).lower()
    return name if name in HTTP_1 | HTTP_2 else name.partition("-")[0]


def _cluster(service: Object, port: Object, seen: Snapshot) -> Cluster:
    return Cluster(
        cluster_name(namespace_of(service), name_of(service), port["port"]),
        endpoints_of(service, port, seen),
        http2=protocol_of(port) in HTTP_2,
    )


def _listener(service: Object, port: Object, seen: Snapshot, names: tuple[str, ...]) -> Listener:
    number, address = port["port"], service["spec"]["clusterIP"]
    own = listener_name(namespace_of(service), name_of(service), number)
    cluster = cluster_name(namespace_of(service), name_of(service), number)
    bound = seen.site.bound_port(number)
    if protocol_of(port) in HTTP_1 | HTTP_2:
        hosts = (VirtualHost(("*",), (forward_to(cluster),)),)
        return HttpListener(own, address, number, bound, hosts, names, any_host=True)
    return TcpListener(own, address, number, bound, cluster, names)


def _names(service: Object, *, unique: bool) -> Iterator[str]:
    """What a Service is called: address, DNS names, and the bare name if no other namespace has it too."""
    local = f"{name_of(service)}.{namespace_of(service)}"
    yield service["spec"].get("clusterIP", "")
    yield from (local, f"{local}.svc", f"{local}.svc.cluster.local")
    if unique:
        yield name_of(service)
