"""From a plan to Envoy's xDS resources, as plain JSON; field names are Envoy's v3 API. Pure.

Hosts and rules are in `emit_routes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.dataplane.emit_routes import route_configuration
from flagger.sandbox.dataplane.routes import (
    MISSING_CLUSTER,
    Certificate,
    Cluster,
    HttpListener,
    Listener,
    Plan,
    TcpListener,
)

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy"
HTTP_MANAGER = f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
BUFFER = 262_144  # bytes a connection may hold in either direction
CONNECT_TIMEOUT = "1s"
IDLE = "1.500s"
"""How long an idle connection to a pod is kept: less than any common server keeps it (gunicorn: 2 s), as a
request sent into a connection that the server is closing would be lost."""
LIMIT = 65_536
"""Connections, requests, retries at once: with Envoy's default of 3 retries, requests fail as a pod goes."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Envoy's configuration by resource type and name."""

    clusters: Mapping[str, Json]
    endpoints: Mapping[str, Json]
    routes: Mapping[str, Json]
    listeners: Mapping[str, Json]


class Emitter:
    """Writes a plan down for an Envoy that reads its resources from files in one directory.

    With `access_log`, a file, each HTTP request becomes a line of it.
    """

    def __init__(self, directory: str, access_log: str = "") -> None:
        self._directory = directory
        self._access_log = access_log

    def resources(self, plan: Plan) -> Resources:
        """All resources of a plan."""
        http = [listener for listener in plan.listeners if isinstance(listener, HttpListener)]
        return Resources(
            clusters={MISSING_CLUSTER: missing_cluster()}
            | {cluster.name: self._cluster(cluster) for cluster in plan.clusters},
            endpoints={cluster.name: load_assignment(cluster) for cluster in plan.clusters},
            routes={listener.name: route_configuration(listener) for listener in http},
            listeners={listener.name: self._listener(listener) for listener in plan.listeners},
        )

    def source(self, kind: str, name: str) -> Json:
        """Where Envoy reads one resource (`eds` or `rds`), or all of a kind (`cds.json`, `lds.json`)."""
        path = f"{self._directory}/{kind}/{name}.json" if name else f"{self._directory}/{kind}.json"
        return {"path_config_source": {"path": path}, "resource_api_version": "V3"}

    def _cluster(self, cluster: Cluster) -> Json:
        protocol: Json = {"http2_protocol_options": {}} if cluster.http2 else {"http_protocol_options": {}}
        limits = dict.fromkeys(
            ("max_connections", "max_pending_requests", "max_requests", "max_retries"), LIMIT
        )
        return {
            "@type": f"{TYPE}.config.cluster.v3.Cluster",
            "name": cluster.name,
            "type": "EDS",
            "connect_timeout": CONNECT_TIMEOUT,
            "per_connection_buffer_limit_bytes": BUFFER,
            "eds_cluster_config": {"eds_config": self.source("eds", cluster.name)},
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
            "circuit_breakers": {"thresholds": [limits]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": f"{TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {"idle_timeout": IDLE},
                    "explicit_http_config": protocol,
                }
            },
        }

    def _listener(self, listener: Listener) -> Json:
        written: Json = {
            "@type": f"{TYPE}.config.listener.v3.Listener",
            "name": listener.name,
            "address": socket_address(listener.address, listener.bound),
            "per_connection_buffer_limit_bytes": BUFFER,
            # Two processes could otherwise share a port, each with half of the connections.
            "enable_reuse_port": False,
        }
        if isinstance(listener, TcpListener):
            return written | {"filter_chains": [{"filters": [tcp_proxy(listener)]}]}
        filters = [self._http(listener)]
        if not listener.certificates:
            return written | {"filter_chains": [{"filters": filters}]}
        return written | {
            "listener_filters": [tls_inspector()],
            "filter_chains": [tls_chain(certificate, filters) for certificate in listener.certificates],
        }

    def _http(self, listener: HttpListener) -> Json:
        logs = {"access_log": [file_log(self._access_log)]} if self._access_log else {}
        return {
            "name": "http",
            "typed_config": logs
            | {
                "@type": HTTP_MANAGER,
                "stat_prefix": listener.name,
                "rds": {
                    "route_config_name": listener.name,
                    "config_source": self.source("rds", listener.name),
                },
                "http_filters": [http_filter("cors", "Cors"), router()],
                "http_protocol_options": {"accept_http_10": True},
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "use_remote_address": True,
                "normalize_path": True,
                "server_header_transformation": "PASS_THROUGH",
                "generate_request_id": False,
            },
        }


def load_assignment(cluster: Cluster) -> Json:
    """Where a cluster's processes are."""
    ends = [
        {"endpoint": {"address": socket_address(endpoint.address, endpoint.port)}}
        for endpoint in cluster.endpoints
    ]
    return {
        "@type": f"{TYPE}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster.name,
        "endpoints": [{"lb_endpoints": ends}] if ends else [],
    }


def missing_cluster() -> Json:
    """The cluster that leads to the bootstrap's internal listener, which answers 500."""
    end = {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": MISSING_CLUSTER}}}}
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": MISSING_CLUSTER,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": {"cluster_name": MISSING_CLUSTER, "endpoints": [{"lb_endpoints": [end]}]},
    }


def socket_address(address: str, port: int) -> Json:
    """An address and port as Envoy writes them."""
    return {"socket_address": {"address": address, "port_value": port}}


def file_log(path: str) -> Json:
    """Envoy's usual line for each request, in a file."""
    kind = f"{TYPE}.extensions.access_loggers.file.v3.FileAccessLog"
    return {"name": "envoy.access_loggers.file", "typed_config": {"@type": kind, "path": path}}


def tcp_proxy(listener: TcpListener) -> Json:
    """The filter that passes bytes on."""
    return {
        "name": "tcp",
        "typed_config": {
            "@type": f"{TYPE}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": listener.name,
            "cluster": listener.cluster,
        },
    }


def http_filter(name: str, message: str) -> Json:
    """An HTTP filter without settings of its own."""
    kind = f"{TYPE}.extensions.filters.http.{name}.v3.{message}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": kind}}


def router() -> Json:
    """The last HTTP filter, which follows the routes; it leaves answers as the pods gave them."""
    plain = http_filter("router", "Router")
    return plain | {"typed_config": plain["typed_config"] | {"suppress_envoy_headers": True}}


def tls_inspector() -> Json:
    """The filter that finds out which server name a client wants."""
    kind = f"{TYPE}.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    return {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": kind}}


def tls_chain(certificate: Certificate, filters: list[Json]) -> Json:
    """The filters behind a TLS identity."""
    identity = {
        "certificate_chain": {"inline_string": certificate.chain},
        "private_key": {"inline_string": certificate.key},
    }
    context = {
        "@type": f"{TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [identity], "alpn_protocols": ["h2", "http/1.1"]},
    }
    chain: Json = {
        "filters": filters,
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
    }
    if certificate.names:
        chain["filter_chain_match"] = {"server_names": list(certificate.names)}
    return chain
