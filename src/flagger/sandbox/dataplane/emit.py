"""From a plan to Envoy's xDS resources, as plain JSON; field names are Envoy's v3 API. Pure.

Hosts and rules are in `emit_routes`. A subscription costs Envoy 250 kB and us a connection, so there are few: endpoints
are part of their cluster, and all Services share one configuration of rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.dataplane.emit_routes import (
    LISTENER_HEADER,
    SHARED,
    route_configuration,
    shared_configuration,
)
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
DISCOVERY_CLUSTER = "discovery"
DISCOVERY: Json = {
    "resource_api_version": "V3",
    "api_config_source": {
        "api_type": "REST",
        "transport_api_version": "V3",
        "cluster_names": [DISCOVERY_CLUSTER],
        "refresh_delay": "0.001s",  # before asking again; answers are held back until there is news
        "request_timeout": "3600s",
    },
}
"""Where Envoy asks for resources: see `discovery`."""

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
    routes: Mapping[str, Json]
    listeners: Mapping[str, Json]
    rules: Mapping[str, str]  # listener → the routes that it subscribes to


def resources(plan: Plan, access_log: str = "") -> Resources:
    """All resources of a plan. With `access_log`, a file, each HTTP request becomes a line of it."""
    http = [each for each in plan.listeners if isinstance(each, HttpListener)]
    routes = {each.name: route_configuration(each) for each in http if not each.any_host}
    if shared := [each for each in http if each.any_host]:
        routes[SHARED] = shared_configuration(shared)
    return Resources(
        clusters={MISSING_CLUSTER: missing_cluster()} | {each.name: cluster(each) for each in plan.clusters},
        routes=routes,
        listeners={each.name: listener(each, access_log) for each in plan.listeners},
        rules={each.name: rules_of(each) for each in http},
    )


def cluster(wanted: Cluster) -> Json:
    """The processes that answer alike, and how they are spoken to."""
    protocol: Json = {"http2_protocol_options": {}} if wanted.http2 else {"http_protocol_options": {}}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), LIMIT)
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": wanted.name,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "per_connection_buffer_limit_bytes": BUFFER,
        "load_assignment": load_assignment(wanted),
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


def listener(wanted: Listener, access_log: str) -> Json:
    """An address and what is done with what arrives there."""
    written: Json = {
        "@type": f"{TYPE}.config.listener.v3.Listener",
        "name": wanted.name,
        "address": socket_address(wanted.address, wanted.bound),
        "per_connection_buffer_limit_bytes": BUFFER,
        # Two processes could otherwise share a port, each with half of the connections.
        "enable_reuse_port": False,
    }
    if isinstance(wanted, TcpListener):
        return written | {"filter_chains": [{"filters": [tcp_proxy(wanted)]}]}
    filters = [http_manager(wanted, access_log)]
    if not wanted.certificates:
        return written | {"filter_chains": [{"filters": filters}]}
    return written | {
        "listener_filters": [tls_inspector()],
        "filter_chains": [tls_chain(certificate, filters) for certificate in wanted.certificates],
    }


def http_manager(wanted: HttpListener, access_log: str) -> Json:
    """The filter that speaks HTTP; its rules come by a subscription, as they change and a listener must not."""
    settings: Json = {
        "@type": HTTP_MANAGER,
        "stat_prefix": wanted.name,
        "rds": {"route_config_name": rules_of(wanted), "config_source": DISCOVERY},
        "http_filters": [http_filter("cors", "Cors"), router()],
        "http_protocol_options": {"accept_http_10": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "use_remote_address": True,
        "normalize_path": True,
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": False,
    }
    if wanted.any_host:
        settings["early_header_mutation_extensions"] = [say_listener(wanted.name)]
    if access_log:
        settings["access_log"] = [file_log(access_log)]
    return {"name": "http", "typed_config": settings}


def rules_of(listener: HttpListener) -> str:
    """The name of the configuration that holds a listener's hosts and rules."""
    return SHARED if listener.any_host else listener.name


def say_listener(name: str) -> Json:
    """An extension that puts a listener's name into each request before its host is looked up."""
    header = {
        "header": {"key": LISTENER_HEADER, "value": name},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    kind = f"{TYPE}.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": kind, "mutations": [{"append": header}]},
    }


def load_assignment(cluster: Cluster) -> Json:
    """Where a cluster's processes are."""
    ends: list[Json] = [
        {"endpoint": {"address": socket_address(endpoint.address, endpoint.port)}}
        for endpoint in cluster.endpoints
    ]
    return {"cluster_name": cluster.name, "endpoints": [{"lb_endpoints": ends}] if ends else []}


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
